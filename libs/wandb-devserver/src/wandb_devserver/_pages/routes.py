"""Routes of the pages: an HTML frame each, which a script fills with data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wandb_devserver._http.auth import SIGN_IN_PATH
from wandb_devserver._pages import sign_in, static
from wandb_devserver._pages.data import artifacts, media, projects, run, series, sweeps
from wandb_devserver._pages.data.endpoints import PREFIX
from wandb_devserver._pages.data.urls import path
from wandb_devserver._pages.responses import page
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import sweeps as sweep_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from starlette.requests import Request

    from wandb_devserver._backend import Backend

    Title = Callable[[sqlite3.Connection, dict[str, str]], "str | None"]

_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _view(pattern: str, script: str, source: str, title: Title) -> Route:
    """Return the route of a page whose `title` is None where the page does not exist."""

    async def show(request: Request) -> Response:
        return await run_sync(_show, request, script, source, title)

    return Route(pattern, show)


def _show(request: Request, script: str, source: str, title: Title) -> Response:
    backend: Backend = request.app.state.backend
    parts = request.path_params
    with backend.database.read() as connection:
        found = title(connection, parts)
    if found is None:
        return page("missing.html", status=404, what=script.removesuffix(".js"), path="/".join(parts.values()))
    session = backend.sessions.find(request.headers.get("cookie", ""))
    return page(
        "view.html",
        title=found,
        script=script,
        source=f"{PREFIX}/{source}{path(*parts.values())}",
        base=path(*_project_parts(parts)),
        crumbs=_crumbs(parts),
        form_token=backend.sessions.form_token(session) if session else "",
    )


def _project_parts(parts: dict[str, str]) -> list[str]:
    return [parts[name] for name in ("entity", "project") if name in parts]


def _crumbs(parts: dict[str, str]) -> list[tuple[str, str]]:
    names = _project_parts(parts)
    return [("/".join(names), path(*names))] if names and len(parts) > len(names) else []


def _index_title(_: sqlite3.Connection, __: dict[str, str]) -> str:
    return "Projects"


def _project_title(connection: sqlite3.Connection, parts: dict[str, str]) -> str | None:
    found = project_table.find(connection, parts["entity"], parts["project"])
    return f"{found.entity}/{found.name}" if found else None


def _run_title(connection: sqlite3.Connection, parts: dict[str, str]) -> str | None:
    found = run_table.find_by_path(connection, parts["entity"], parts["project"], parts["run"])
    return found.display_name if found else None


def _group_title(connection: sqlite3.Connection, parts: dict[str, str]) -> str | None:
    return parts["group"] if projects.group_runs(connection, *parts.values()) else None


def _sweep_title(connection: sqlite3.Connection, parts: dict[str, str]) -> str | None:
    found = sweep_table.find_by_path(connection, parts["entity"], parts["project"], parts["sweep"])
    return found.title if found else None


def _artifact_title(connection: sqlite3.Connection, parts: dict[str, str]) -> str | None:
    found = artifacts.find_collection(connection, parts)
    return found.name if found else None


def _list_title(noun: str) -> Title:
    def title(connection: sqlite3.Connection, parts: dict[str, str]) -> str | None:
        found = _project_title(connection, parts)
        return f"{noun} of {found}" if found else None

    return title


async def _not_found(_: Request) -> Response:
    return PlainTextResponse("not found", status_code=404)


ROUTES = [
    Route("/-/static/{digest}/{name:path}", static.serve),
    Route(SIGN_IN_PATH, sign_in.show),
    Route(SIGN_IN_PATH, sign_in.sign_in, methods=["POST"]),
    Route("/-/sign-out", sign_in.sign_out, methods=["POST"]),
    *projects.ROUTES,
    *run.ROUTES,
    *series.ROUTES,
    *media.ROUTES,
    *artifacts.ROUTES,
    *sweeps.ROUTES,
    # Paths that need no key end here, so that they serve no page.
    Route("/-/{rest:path}", _not_found, methods=_ANY_METHOD),
    _view("/", "projects.js", "projects", _index_title),
    _view("/{entity}/{project}", "project.js", "project", _project_title),
    _view("/{entity}/{project}/runs/{run}", "run.js", "run", _run_title),
    _view("/{entity}/{project}/groups/{group:path}", "group.js", "group", _group_title),
    _view("/{entity}/{project}/sweeps", "sweeps.js", "sweeps", _list_title("Sweeps")),
    _view("/{entity}/{project}/sweeps/{sweep}", "sweep.js", "sweep", _sweep_title),
    _view("/{entity}/{project}/artifacts", "artifacts.js", "artifacts", _list_title("Artifacts")),
    _view("/{entity}/{project}/artifacts/{type}/{name}", "artifact.js", "artifact", _artifact_title),
    _view("/{entity}/{project}/artifacts/{type}/{name}/{version}", "artifact.js", "artifact", _artifact_title),
]
