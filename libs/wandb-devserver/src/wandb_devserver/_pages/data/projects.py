"""Data of the start page and of project pages: runs as table rows, with the columns that one picks."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from wandb_devserver._documents import plain_config
from wandb_devserver._json import Json, JsonObject, is_number, loads_object
from wandb_devserver._pages.data.endpoints import endpoint
from wandb_devserver._pages.data.urls import path, run_url
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import sweeps as sweep_table
from wandb_devserver._storage.order import parse_order
from wandb_devserver._storage.points import leaves

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._storage.runs import StoredRun

RUNS_SHOWN = 2000
_COLUMNS_LISTED = 1000
_COLUMNS_PICKED = 4
_TEXT_LENGTH = 200

_LIVE = ("running", "pending", "preempting")


def projects(connection: sqlite3.Connection, _: Request) -> JsonObject:
    """Return all projects."""
    return {
        "projects": [
            {
                "name": f"{project.entity}/{project.name}",
                "url": path(project.entity, project.name),
                "created": project.created_at,
                "runs": run_table.count(connection, project.id),
                "sweeps": sweep_table.count(connection, project.id),
            }
            for project in project_table.page(connection, None)
        ]
    }


def project(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return a project's runs, newest first, with the columns of the query or those that differ between runs."""
    found = project_table.find(connection, request.path_params["entity"], request.path_params["project"])
    if found is None:
        return None
    newest_first = parse_order("-created_at")
    runs = [run for run, _ in run_table.page(connection, found.id, order=newest_first, limit=RUNS_SHOWN)]
    return {
        **run_rows(runs, request.query_params.getlist("column")),
        "count": run_table.count(connection, found.id),
        "sweeps": sweep_table.count(connection, found.id),
        "artifacts": len(collection_table.page(connection, [found.id])),
    }


def group(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return the runs of a group, oldest first."""
    parts = request.path_params
    runs = group_runs(connection, parts["entity"], parts["project"], parts["group"])
    return {**run_rows(runs, request.query_params.getlist("column")), "count": len(runs)} if runs else None


def group_runs(connection: sqlite3.Connection, entity: str, project_name: str, name: str) -> list[StoredRun]:
    found = project_table.find(connection, entity, project_name)
    return run_table.of_group(connection, found.id, name) if found else []


def run_rows(runs: list[StoredRun], chosen: list[str]) -> JsonObject:
    """Return runs as rows, their chosen columns, and all columns to choose from."""
    values = [_columns_of(run) for run in runs]
    counts = Counter(column for row in values for column in row)
    available = sorted(counts)[:_COLUMNS_LISTED]
    columns = [column for column in chosen if column in counts] or _default_columns(values, available)
    return {
        "columns": list(columns),
        "available": list(available),
        "runs": [
            {**run_row(run), "values": {column: row[column] for column in columns if column in row}}
            for run, row in zip(runs, values, strict=True)
        ],
    }


def run_row(run: StoredRun) -> JsonObject:
    """Return what every list of runs shows of a run."""
    end = time.time() if run.state == "running" else run.heartbeat_at
    return {
        "id": run.name,
        "name": run.display_name,
        "url": run_url(run),
        "state": run.state,
        "group": run.group_name,
        "job_type": run.job_type,
        "sweep": run.sweep_name,
        "tags": list(run.tags),
        "created": run.created_at,
        "duration": round(max(end - run.created_at, 0)),
        "is_live": run.state in _LIVE,
    }


def _columns_of(run: StoredRun) -> dict[str, Json]:
    config, summary = plain_config(loads_object(run.config)), loads_object(run.summary)
    found = {f"config.{key}": value for key, value in leaves(config)}
    found.update({f"summary.{key}": value for key, value in leaves(summary)})
    return {key: _cell(value) for key, value in found.items() if not isinstance(value, (dict, list))}


def _cell(value: Json) -> Json:
    return value[:_TEXT_LENGTH] if isinstance(value, str) else value


def _default_columns(values: list[dict[str, Json]], available: list[str]) -> list[str]:
    """Pick the configuration that differs between runs, and the first metrics."""
    config = [key for key in available if key.startswith("config.") and not key.startswith("config.flyte.")]
    varied = [key for key in config if len({str(row[key]) for row in values if key in row}) > 1]
    metrics = [
        key
        for key in available
        if key.startswith("summary.") and any(is_number(row[key]) for row in values if key in row)
    ]
    return [*varied[:_COLUMNS_PICKED], *metrics[:_COLUMNS_PICKED]]


ROUTES = [
    endpoint("/projects", projects),
    endpoint("/project/{entity}/{project}", project),
    endpoint("/group/{entity}/{project}/{group:path}", group),
]
