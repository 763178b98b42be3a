"""Data of charts: metrics of one or several runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wandb_devserver._domain.series import Series, StepRange, metric_counts, read_series
from wandb_devserver._json import JsonObject
from wandb_devserver._pages.data.endpoints import endpoint, number
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._storage.metrics import MetricStream
    from wandb_devserver._storage.runs import StoredRun

_RUNS_COMPARED = 100
_KEYS_AT_ONCE = 50
_POINTS = 800
_MOST_POINTS = 4000


def series(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return points of metrics: `run` and `key` repeat; `from` and `to` select steps."""
    runs = _runs(connection, request)
    if runs is None:
        return None
    keys = request.query_params.getlist("key")[:_KEYS_AT_ONCE]
    size, stream, steps = number(request, "size", _POINTS, most=_MOST_POINTS), _stream(request), _steps(request)
    return {
        run.name: {
            key: _columns(found)
            for key, found in read_series(connection, run.id, stream, keys, size=size, steps=steps).items()
            if found.points
        }
        for run in runs
    }


def metrics(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return the metrics that any of the runs has, with the most values that a run has of it."""
    runs = _runs(connection, request)
    if runs is None:
        return None
    most: dict[str, int] = {}
    for run in runs:
        for key, count in metric_counts(connection, run.id, _stream(request)).items():
            most[key] = max(most.get(key, 0), count)
    return {"metrics": dict(sorted(most.items()))}


def _columns(found: Series) -> JsonObject:
    steps, times, values = (list(column) for column in zip(*found.points, strict=True))
    return {
        "count": found.count,
        "steps": [int(step) if step == int(step) else step for step in steps],
        "times": [None if math.isnan(time) else time for time in times],
        "values": values,
    }


def _runs(connection: sqlite3.Connection, request: Request) -> list[StoredRun] | None:
    project = project_table.find(connection, request.path_params["entity"], request.path_params["project"])
    if project is None:
        return None
    names = request.query_params.getlist("run")[:_RUNS_COMPARED]
    return [run for name in names if (run := run_table.find(connection, project.id, name))]


def _stream(request: Request) -> MetricStream:
    return "events" if request.query_params.get("stream") == "events" else "history"


def _steps(request: Request) -> StepRange | None:
    try:
        return StepRange(float(request.query_params["from"]), float(request.query_params["to"]))
    except (KeyError, ValueError):
        return None


ROUTES = [
    endpoint("/series/{entity}/{project}", series),
    endpoint("/metrics/{entity}/{project}", metrics),
]
