"""Data of sweep pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_devserver._documents import Missing, lookup, plain_config
from wandb_devserver._domain import results as sweep_results
from wandb_devserver._domain.importance import importance
from wandb_devserver._json import Json, JsonObject, is_number, loads_object
from wandb_devserver._pages.data.endpoints import endpoint
from wandb_devserver._pages.data.projects import run_row
from wandb_devserver._pages.data.urls import path
from wandb_devserver._search.config import parse_config
from wandb_devserver._search.points import values_of
from wandb_devserver._storage import agents as agent_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import sweeps as sweep_table
from wandb_devserver._storage import trials as trial_table

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._search.config import SweepConfig
    from wandb_devserver._storage.runs import StoredRun
    from wandb_devserver._storage.sweeps import StoredSweep

_SWEEPS_SHOWN = 500
_TRIALS_SHOWN = 2000
_UNFINISHED = (sweep_table.PENDING, sweep_table.RUNNING, sweep_table.PAUSED)


def sweeps(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return the sweeps of a project, newest first."""
    project = project_table.find(connection, request.path_params["entity"], request.path_params["project"])
    if project is None:
        return None
    newest_first = sweep_table.page(connection, project.id)[::-1]
    return {
        "count": len(newest_first),
        "is_live": any(found.state in _UNFINISHED for found in newest_first),
        "sweeps": [
            {
                "id": found.name,
                "name": found.title,
                "url": path(found.entity, found.project, "sweeps", found.name),
                "state": found.state,
                "created": found.created_at,
                "method": parse_config(found.config).method,
                "runs": len(sweep_results.runs(connection, found)),
            }
            for found in newest_first[:_SWEEPS_SHOWN]
        ],
    }


def sweep(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return a sweep with its trials in order of creation, its agents, and what each parameter matters."""
    parts = request.path_params
    found = sweep_table.find_by_path(connection, parts["entity"], parts["project"], parts["sweep"])
    if found is None:
        return None
    config, runs = parse_config(found.config), sweep_results.runs(connection, found)
    names = [".".join(parameter.path) for parameter in config.parameters]
    trials = [_trial(config, names, run) for run in runs]
    return {
        "id": found.name,
        "name": found.title,
        "path": f"{found.entity}/{found.project}/{found.name}",
        "state": found.state,
        "is_live": found.state in _UNFINISHED,
        "description": found.description,
        "created": found.created_at,
        "config": config.document,
        "method": config.method,
        "metric": config.metric.name if config.metric else None,
        "maximize": bool(config.metric and config.metric.maximize),
        "parameters": list(names),
        "count": len(trials),
        "trials": list(trials[-_TRIALS_SHOWN:]),
        "agents": _agents(connection, found),
        "importance": _importance(names, trials),
    }


def _trial(config: SweepConfig, names: list[str], run: StoredRun) -> JsonObject:
    values = values_of(config.parameters, plain_config(loads_object(run.config)))
    metric = lookup(loads_object(run.summary), config.metric.name) if config.metric else None
    return {
        **run_row(run),
        "values": dict(zip(names, values, strict=True)),
        "metric": None if isinstance(metric, Missing) or not is_number(metric) else metric,
    }


def _agents(connection: sqlite3.Connection, found: StoredSweep) -> list[Json]:
    return [
        {
            "name": agent.name,
            "host": agent.host,
            "state": agent.state,
            "trials": [trial.name for trial in trial_table.of_agent(connection, agent.id)],
            "last_seen": agent.heartbeat_at,
        }
        for agent in agent_table.of_sweep(connection, found.id)
    ]


def _importance(names: list[str], trials: list[JsonObject]) -> list[Json]:
    """Return the parameters that influence the metric, the most important first."""
    scored = [(trial["values"], trial["metric"]) for trial in trials]
    complete = [(values, metric) for values, metric in scored if isinstance(values, dict) and is_number(metric)]
    ranked = [(name, importance([values[name] for values, _ in complete], [m for _, m in complete])) for name in names]
    known = sorted(((name, score) for name, score in ranked if score), key=lambda pair: -pair[1].strength)
    return [{"name": name, "strength": score.strength, "correlation": score.correlation} for name, score in known]


ROUTES = [
    endpoint("/sweeps/{entity}/{project}", sweeps),
    endpoint("/sweep/{entity}/{project}/{sweep}", sweep),
]
