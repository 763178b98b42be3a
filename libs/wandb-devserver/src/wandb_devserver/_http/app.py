"""The ASGI application: routes and who may use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wandb_devserver import _artifact_blobs, _file_stream, _files, _pages
from wandb_devserver._auth import RequireKey
from wandb_devserver._graphql import _endpoint

if TYPE_CHECKING:
    from starlette.requests import Request

    from wandb_devserver._backend import Backend

_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(backend: Backend) -> Starlette:
    """Return the application that serves `backend`."""
    app = Starlette(
        routes=[
            Route("/graphql", _endpoint.graphql, methods=["POST"]),
            Route("/files/{entity}/{project}/{run}/file_stream", _file_stream.file_stream, methods=["POST"]),
            Route("/files/{entity}/{project}/{run}/{name:path}", _files.download, methods=["GET"]),
            *_artifact_blobs.ROUTES,
            Route("/signed/{token}", _files.upload, methods=["PUT"]),
            Route("/sdk/otel/{rest:path}", _telemetry, methods=["POST"]),
            # What is open without the key ends here, so that no page below can be had through it.
            Route("/signed/{rest:path}", _not_found, methods=_ANY_METHOD),
            Route("/sdk/{rest:path}", _not_found, methods=_ANY_METHOD),
            *_pages.ROUTES,
        ],
        middleware=[Middleware(RequireKey, api_key=backend.api_key)],
    )
    app.state.backend = backend
    return app


async def _telemetry(_: Request) -> Response:
    return Response()


async def _not_found(_: Request) -> Response:
    return PlainTextResponse("not found", status_code=404)
