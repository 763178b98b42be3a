"""Run files over HTTP: uploads to signed URLs, downloads with the API key."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import FileResponse, PlainTextResponse, Response

from wandb_devserver._errors import UsageError
from wandb_devserver._http.body import chunks
from wandb_devserver._http.fault_responses import respond
from wandb_devserver._storage import files as file_table
from wandb_devserver._storage import runs as run_table

if TYPE_CHECKING:
    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.blobs import Blob, BlobWriter
    from wandb_devserver._storage.files import StoredFile
    from wandb_devserver._testing.faults import Fault

_CHUNK_SIZE = 1024 * 1024


class BlobResponse(FileResponse):
    """Contents of a file, in larger chunks than Starlette's: it switches to another thread and back for each."""

    chunk_size = _CHUNK_SIZE


async def upload(request: Request) -> Response:
    """`PUT /signed/{token}`."""
    backend: Backend = request.app.state.backend
    try:
        kind, run_id, name = backend.signer.verify(request.path_params["token"])
    except (UsageError, ValueError) as error:
        return PlainTextResponse(str(error), status_code=403)
    if kind != "run-file" or not isinstance(run_id, int) or not isinstance(name, str):
        return PlainTextResponse("the URL is for another purpose", status_code=403)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults do not change what is stored
        with await run_sync(backend.blobs.writer) as writer:
            blob = await receive(request, writer)
        return await run_sync(_register, backend, run_id, name, blob)

    return await respond(backend, "upload", serve, target=name)


async def download(request: Request) -> Response:
    """`GET /files/{entity}/{project}/{run}/{name}`."""
    backend: Backend = request.app.state.backend
    file = await run_sync(_find, backend, request.path_params)
    if file is None:
        return PlainTextResponse("no such file", status_code=404)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults change the response afterwards
        return BlobResponse(
            backend.blobs.path(file.blob),
            media_type=file.mimetype,
            # A file comes from a client: a browser saves it, and no script in it may run with the reader's session.
            filename=PurePosixPath(file.name).name,
            headers={"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"},
        )

    return await respond(backend, "download", serve, target=file.name)


async def receive(request: Request, writer: BlobWriter) -> Blob:
    """Store the body of a request as it arrives, holding little of it in memory."""
    pending = bytearray()
    async for chunk in chunks(request):
        pending += chunk
        if len(pending) >= _CHUNK_SIZE:
            await run_sync(writer.write, bytes(pending))
            pending.clear()
    await run_sync(writer.write, bytes(pending))
    return await run_sync(writer.commit)


def _register(backend: Backend, run_id: int, name: str, blob: Blob) -> Response:
    try:
        with backend.database.write() as connection:
            known = run_table.find_by_id(connection, run_id)
            replaced = file_table.put(connection, run_id, name, blob) if known else blob.name
    except BaseException:
        backend.blobs.remove(blob.name)
        raise
    if replaced:
        backend.blobs.remove(replaced)
    return Response(status_code=200 if known else 404)


def _find(backend: Backend, parts: dict[str, str]) -> StoredFile | None:
    with backend.database.read() as connection:
        run = run_table.find_by_path(connection, parts["entity"], parts["project"], parts["run"])
        return file_table.find(connection, run.id, parts["name"]) if run else None
