"""Exported parts of histories over HTTP, by signed URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wandb_devserver._errors import UsageError
from wandb_devserver._http import file_names  # noqa: F401 - registers the convertor `file`
from wandb_devserver._http.fault_responses import respond
from wandb_devserver._http.files import BlobResponse
from wandb_devserver._storage import history_exports as export_table

if TYPE_CHECKING:
    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.history_exports import StoredExport
    from wandb_devserver._testing.faults import Fault


async def download(request: Request) -> Response:
    """`GET /signed/history/{path}?signature={token}`."""
    backend: Backend = request.app.state.backend
    try:
        kind, export_id = backend.signer.verify(request.query_params.get("signature", ""))
    except (UsageError, ValueError) as error:
        return PlainTextResponse(str(error), status_code=403)
    if kind != "history-export" or not isinstance(export_id, int):
        return PlainTextResponse("the URL is for another purpose", status_code=403)
    found = await run_sync(_find, backend, export_id)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults change the response afterwards
        if found is None:
            return PlainTextResponse("the history was exported again: request its URLs again", status_code=404)
        return BlobResponse(backend.blobs.path(found.blob), media_type="application/octet-stream")

    return await respond(backend, "download", serve, target=request.path_params["path"].rpartition("/")[2])


def _find(backend: Backend, export_id: int) -> StoredExport | None:
    with backend.database.read() as connection:
        return export_table.find(connection, export_id)


# Starlette serves HEAD as well, by which the SDK learns the size.
ROUTES = [Route("/signed/history/{path:file}", download, methods=["GET"])]
