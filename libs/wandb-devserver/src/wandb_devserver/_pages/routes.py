"""HTML pages: overview, project, run, sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from anyio.to_thread import run_sync
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from wandb_devserver._documents import Missing, lookup, plain_config
from wandb_devserver._domain import results as sweep_results
from wandb_devserver._domain.streams import parse_line, sample
from wandb_devserver._json import Json, dumps, loads_object
from wandb_devserver._pages import charts
from wandb_devserver._search.config import parse_config
from wandb_devserver._search.points import values_of
from wandb_devserver._storage import agents as agent_table
from wandb_devserver._storage import files as file_table
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import sweeps as sweep_table
from wandb_devserver._storage import trials as trial_table
from wandb_devserver._storage.order import parse_order
from wandb_devserver._times import to_iso

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._search.config import SweepConfig
    from wandb_devserver._storage.agents import StoredAgent
    from wandb_devserver._storage.runs import StoredRun
    from wandb_devserver._storage.sweeps import StoredSweep
    from wandb_devserver._storage.trials import StoredTrial

_CHART_POINTS = 300
_CONSOLE_LINES = 200
_RUNS_SHOWN = 500
_SWEEPS_SHOWN = 500

# No page needs a script, and what runs log must not become one.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"}


def _readable(moment: float) -> str:
    return to_iso(moment).replace("T", " ").replace("Z", " UTC")


_templates = Environment(
    loader=PackageLoader("wandb_devserver._pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(moment=_readable, path=lambda text: quote(text, safe=""), file_path=quote)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the configuration or the summary, and its value for reading."""

    key: str
    value: str


async def index(request: Request) -> Response:
    """`GET /`."""
    return await run_sync(_index, request.app.state.backend)


async def project(request: Request) -> Response:
    """`GET /{entity}/{project}`."""
    return await run_sync(_project, request.app.state.backend, request.path_params)


async def sweeps(request: Request) -> Response:
    """`GET /{entity}/{project}/sweeps`."""
    return await run_sync(_sweep_list, request.app.state.backend, request.path_params)


async def sweep(request: Request) -> Response:
    """`GET /{entity}/{project}/sweeps/{sweep}`."""
    return await run_sync(_sweep, request.app.state.backend, request.path_params)


async def run(request: Request) -> Response:
    """`GET /{entity}/{project}/runs/{run}`."""
    return await run_sync(_run, request.app.state.backend, request.path_params)


def _index(backend: Backend) -> Response:
    with backend.database.read() as connection:
        projects = [(known, run_table.count(connection, known.id)) for known in project_table.page(connection, None)]
    return _page("index.html", projects=projects)


def _project(backend: Backend, parts: dict[str, str]) -> Response:
    with backend.database.read() as connection:
        found = project_table.find(connection, parts["entity"], parts["project"])
        if found is None:
            return _page("missing.html", status=404, what="project", path=f"{parts['entity']}/{parts['project']}")
        newest_first = parse_order("-created_at")
        shown = [row for row, _ in run_table.page(connection, found.id, order=newest_first, limit=_RUNS_SHOWN)]
        return _page(
            "project.html",
            project=found,
            runs=shown,
            count=run_table.count(connection, found.id),
            sweep_count=sweep_table.count(connection, found.id),
        )


def _sweep_list(backend: Backend, parts: dict[str, str]) -> Response:
    with backend.database.read() as connection:
        found = project_table.find(connection, parts["entity"], parts["project"])
        if found is None:
            return _page("missing.html", status=404, what="project", path=f"{parts['entity']}/{parts['project']}")
        newest_first = sweep_table.page(connection, found.id)[::-1]
        rows = [
            (known, parse_config(known.config), len(sweep_results.runs(connection, known)))
            for known in newest_first[:_SWEEPS_SHOWN]
        ]
        return _page("sweeps.html", project=found, sweeps=rows, count=len(newest_first))


def _sweep(backend: Backend, parts: dict[str, str]) -> Response:
    with backend.database.read() as connection:
        found = sweep_table.find_by_path(connection, parts["entity"], parts["project"], parts["sweep"])
        if found is None:
            return _page("missing.html", status=404, what="sweep", path="/".join(parts.values()))
        return _page("sweep.html", **_sweep_details(connection, found))


def _sweep_details(connection: sqlite3.Connection, found: StoredSweep) -> dict[str, Any]:
    config, runs = parse_config(found.config), sweep_results.runs(connection, found)
    agents = {trial.run_id: agent for agent, trials in _agents_of(connection, found) for trial in trials}
    return {
        "sweep": found,
        "config": config,
        "parameters": [".".join(parameter.path) for parameter in config.parameters],
        "trials": [
            (run, agents.get(run.id), _parameter_values(config, run), _metric_value(config, run))
            for run in runs[::-1][:_RUNS_SHOWN]
        ],
        "count": len(runs),
        "agents": _agents_of(connection, found),
    }


def _agents_of(connection: sqlite3.Connection, found: StoredSweep) -> list[tuple[StoredAgent, list[StoredTrial]]]:
    return [(agent, trial_table.of_agent(connection, agent.id)) for agent in agent_table.of_sweep(connection, found.id)]


def _parameter_values(config: SweepConfig, run: StoredRun) -> list[str]:
    return [_shown(value) for value in values_of(config.parameters, plain_config(loads_object(run.config)))]


def _metric_value(config: SweepConfig, run: StoredRun) -> str:
    value = lookup(loads_object(run.summary), config.metric.name) if config.metric else None
    return "" if value is None or isinstance(value, Missing) else _shown(value)


def _run(backend: Backend, parts: dict[str, str]) -> Response:
    with backend.database.read() as connection:
        found = run_table.find_by_path(connection, parts["entity"], parts["project"], parts["run"])
        if found is None:
            return _page("missing.html", status=404, what="run", path="/".join(parts.values()))
        return _page("run.html", **_run_details(connection, found))


def _run_details(connection: sqlite3.Connection, found: StoredRun) -> dict[str, Any]:
    texts = sample((text for _, text in line_table.read(connection, found.id, "history")), _CHART_POINTS)
    console = line_table.read_last(connection, found.id, "console", _CONSOLE_LINES)
    summary = {key: value for key, value in loads_object(found.summary).items() if not key.startswith("_")}
    return {
        "run": found,
        "config": _entries(plain_config(loads_object(found.config))),
        "summary": _entries(summary),
        "charts": charts.charts([loads_object(text) for text in texts]),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
        "row_count": line_table.count(connection, found.id, "history"),
        "files": file_table.page(connection, found.id),
        "console": [parse_line(text) for _, text in console],
        "line_count": line_table.count(connection, found.id, "console"),
    }


def _entries(document: dict[str, Json]) -> list[Entry]:
    return [Entry(key, _shown(value)) for key, value in sorted(document.items())]


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else dumps(value)


def _page(template: str, *, status: int = 200, **values: object) -> Response:
    return HTMLResponse(_templates.get_template(template).render(values), status, headers=_HEADERS)


ROUTES = [
    Route("/", index),
    Route("/{entity}/{project}", project),
    Route("/{entity}/{project}/sweeps", sweeps),
    Route("/{entity}/{project}/sweeps/{sweep}", sweep),
    Route("/{entity}/{project}/runs/{run}", run),
]
