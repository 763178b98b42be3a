"""JSON endpoints: a function that reads the database becomes a route."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from anyio.to_thread import run_sync
from starlette.routing import Route

from wandb_devserver._json import JsonObject
from wandb_devserver._pages.responses import data

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from wandb_devserver._backend import Backend

Read: TypeAlias = Callable[[sqlite3.Connection, "Request"], "JsonObject | None"]
"""Reads what a page shows; None when the page does not exist."""

PREFIX = "/-/data"


def endpoint(path: str, read: Read) -> Route:
    """Return the route `GET /-/data{path}`."""

    async def respond(request: Request) -> Response:
        return await run_sync(_respond, request, read)

    return Route(PREFIX + path, respond)


def number(request: Request, name: str, default: int, *, most: int) -> int:
    """Return a whole number of the query, between 0 and `most`."""
    try:
        return min(max(int(request.query_params.get(name, default)), 0), most)
    except ValueError:
        return default


def _respond(request: Request, read: Read) -> Response:
    backend: Backend = request.app.state.backend
    with backend.database.read() as connection:
        document = read(connection, request)
    if document is None:
        return data(request, {"error": "not found"}, status=404)
    return data(request, document)
