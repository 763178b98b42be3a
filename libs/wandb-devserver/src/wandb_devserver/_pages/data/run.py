"""Data of a run page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_devserver._documents import plain_config
from wandb_devserver._domain.series import metric_counts
from wandb_devserver._domain.streams import parse_line
from wandb_devserver._json import Json, JsonObject, loads_object
from wandb_devserver._pages.data.artifacts import artifact_row
from wandb_devserver._pages.data.endpoints import endpoint, number
from wandb_devserver._pages.data.projects import run_row
from wandb_devserver._pages.data.urls import file_url, path, web_link
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import files as file_table
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import metrics as metric_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._times import to_iso

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._storage.runs import StoredRun

_FILES_SHOWN = 1000
_LINES_SHOWN = 1000


def find_run(connection: sqlite3.Connection, request: Request) -> StoredRun | None:
    parts = request.path_params
    return run_table.find_by_path(connection, parts["entity"], parts["project"], parts["run"])


def run(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return all of a run but its streams."""
    found = find_run(connection, request)
    if found is None:
        return None
    config = plain_config(loads_object(found.config))
    summary = {key: value for key, value in loads_object(found.summary).items() if key != "_wandb"}
    return {
        **run_row(found),
        **_origin(found, config),
        "reason": _reason(found, config),
        "config": config,
        "summary": summary,
        "metrics": dict(metric_counts(connection, found.id, "history")),
        "system": dict(metric_counts(connection, found.id, "events")),
        "rows": line_table.count(connection, found.id, "history"),
        "lines": line_table.count(connection, found.id, "console"),
        "media": _media_keys(connection, found),
        **_files(connection, found),
        **_artifacts(connection, found),
    }


def console(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return console lines: those from `after` on, the last before `before`, or the last that match `search`."""
    found = find_run(connection, request)
    if found is None:
        return None
    query = request.query_params
    total = line_table.count(connection, found.id, "console")
    if search := query.get("search"):
        lines = line_table.search_console(connection, found.id, search, _LINES_SHOWN)
    else:
        before = number(request, "before", total, most=total)
        first = max(number(request, "after", 0, most=total), before - _LINES_SHOWN)
        lines = list(line_table.read(connection, found.id, "console", first=first, before=before))
    return {"total": total, "lines": [_line(position, text) for position, text in lines]}


def _line(position: int, text: str) -> Json:
    line = parse_line(text)
    return [position, line.labeled_text, line.timestamp, line.level]


def _origin(run: StoredRun, config: JsonObject) -> JsonObject:
    flyte = config.get("flyte")
    return {
        "notes": run.notes or None,
        "host": run.host,
        "program": run.program,
        "commit": run.commit_hash,
        "exit_code": run.exit_code,
        "flyte": web_link(flyte.get("url")) if isinstance(flyte, dict) else None,
        "group_url": path(run.entity, run.project, "groups", run.group_name) if run.group_name else None,
        "sweep_url": path(run.entity, run.project, "sweeps", run.sweep_name) if run.sweep_name else None,
        "last_seen": run.heartbeat_at,
    }


def _reason(run: StoredRun, config: JsonObject) -> list[Json]:
    """Return why the run is in its state, in words."""
    reasons: list[Json] = []
    flyte = config.get("flyte")
    attempt = flyte.get("attempt") if isinstance(flyte, dict) else None
    if isinstance(attempt, int) and not isinstance(attempt, bool):
        reasons.append(f"attempt {attempt}")
    if run.exit_code is not None:
        reasons.append(f"exit code {run.exit_code}")
    if run.state == "crashed":
        reasons.append(f"no heartbeat since {to_iso(run.heartbeat_at)}")
    if run.state in ("preempting", "preempted"):
        reasons.append("its machine was preempted")
    if run.stop_requested:
        reasons.append("a stop was requested")
    return reasons


def _media_keys(connection: sqlite3.Connection, run: StoredRun) -> list[Json]:
    return [
        {"key": media.key, "type": media.type, "count": media.count}
        for media in metric_table.media_keys(connection, run.id)
    ]


def _files(connection: sqlite3.Connection, run: StoredRun) -> JsonObject:
    files = file_table.page(connection, run.id, limit=_FILES_SHOWN)
    return {
        "file_count": file_table.count(connection, run.id),
        "files": [
            {"name": file.name, "url": file_url(run, file.name), "size": file.size, "updated": file.updated_at}
            for file in files
        ],
    }


def _artifacts(connection: sqlite3.Connection, run: StoredRun) -> JsonObject:
    logged, used = (artifact_table.of_run(connection, run.id, role) for role in ("output", "input"))
    return {
        "logged": [artifact_row(connection, artifact) for artifact in logged],
        "used": [artifact_row(connection, artifact) for artifact in used],
    }


ROUTES = [
    endpoint("/run/{entity}/{project}/{run}", run),
    endpoint("/console/{entity}/{project}/{run}", console),
]
