"""ASGI application: routes and authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wandb_devserver._errors import UsageError
from wandb_devserver._graphql import endpoint
from wandb_devserver._http import artifact_blobs, history_exports
from wandb_devserver._http import file_stream as file_stream_route
from wandb_devserver._http import files as http_files
from wandb_devserver._http.auth import RequireKey
from wandb_devserver._http.body import RefusedBodyError, refusal, refuse_body
from wandb_devserver._http.connections import TrackConnections
from wandb_devserver._http.origin import CheckOrigin
from wandb_devserver._http.ranges import IgnoreManyRanges
from wandb_devserver._pages import routes as pages
from wandb_devserver._pages.sign_in import sign_in_page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from wandb_devserver._backend import Backend

_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(backend: Backend, *, hosts: Iterable[str] = ()) -> Starlette:
    """Return the application that serves `backend` under `localhost`, IP addresses and the names `hosts`."""
    app = Starlette(
        routes=[
            Route("/graphql", endpoint.graphql, methods=["POST"]),
            Route("/files/{entity}/{project}/{run}/file_stream", file_stream_route.file_stream, methods=["POST"]),
            Route("/files/{entity}/{project}/{run}/{name:file}", http_files.download, methods=["GET"]),
            *artifact_blobs.ROUTES,
            *history_exports.ROUTES,
            Route("/signed/{token}", http_files.upload, methods=["PUT"]),
            Route("/sdk/otel/{rest:path}", _telemetry, methods=["POST"]),
            # Paths that need no key end here, so that they serve no page.
            Route("/signed/{rest:path}", _not_found, methods=_ANY_METHOD),
            Route("/sdk/{rest:path}", _not_found, methods=_ANY_METHOD),
            *pages.ROUTES,
        ],
        middleware=[
            Middleware(TrackConnections),
            Middleware(CheckOrigin, hosts=hosts),
            Middleware(RequireKey, api_key=backend.api_key, sessions=backend.sessions, sign_in_page=sign_in_page),
            Middleware(IgnoreManyRanges),
        ],
        exception_handlers={RefusedBodyError: refuse_body, UsageError: _refuse, ClientDisconnect: _client_is_gone},
    )
    app.state.backend = backend
    return app


async def _refuse(_: Request, error: Exception) -> Response:
    return refusal(400, str(error))


async def _client_is_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)


async def _telemetry(_: Request) -> Response:
    return Response()


async def _not_found(_: Request) -> Response:
    return PlainTextResponse("not found", status_code=404)
