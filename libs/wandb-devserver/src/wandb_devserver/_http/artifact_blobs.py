"""Artifact contents over HTTP: by signed URL, or by MD5 with the API key."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from wandb_devserver._errors import UsageError
from wandb_devserver._http.fault_responses import respond
from wandb_devserver._http.files import receive
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import projects as project_table

if TYPE_CHECKING:
    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.blobs import Blob
    from wandb_devserver._testing.faults import Fault


async def upload(request: Request) -> Response:
    """`PUT /signed/artifacts/{token}`."""
    backend: Backend = request.app.state.backend
    try:
        md5, name = _verify(backend, request, "artifact-upload")
    except UsageError as error:
        return PlainTextResponse(str(error), status_code=403)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults do not change what is stored
        with await run_sync(backend.blobs.writer) as writer:
            blob = await receive(request, writer)
        return await run_sync(_keep, backend, blob, md5, name)

    return await respond(backend, "upload", serve, target=name)


async def download(request: Request) -> Response:
    """`GET /signed/artifacts/{token}`."""
    backend: Backend = request.app.state.backend
    try:
        md5, name = _verify(backend, request, "artifact-download")
    except UsageError as error:
        return PlainTextResponse(str(error), status_code=403)
    return await _send(backend, await run_sync(_find, backend, md5), name)


async def download_by_md5(request: Request) -> Response:
    """`GET /artifactsV2/{region}/{entity}/{project}/{collection}/{birth artifact}/{MD5 in hex}/{name}`."""
    backend: Backend = request.app.state.backend
    # The birth artifact may be empty, and the name is for people only: neither says what to send.
    _, _, rest = request.path_params["rest"].partition("/")
    digest, _, name = rest.partition("/")
    return await _send(backend, await run_sync(_find_in_collection, backend, request.path_params, digest), name)


async def _send(backend: Backend, blob: Blob | None, name: str) -> Response:
    if blob is None:
        return PlainTextResponse("no such contents", status_code=404)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults change the response afterwards
        return FileResponse(
            backend.blobs.path(blob.name),
            media_type="application/octet-stream",
            # Contents come from a client: no script in them may run with the reader's credentials.
            headers={"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"},
        )

    return await respond(backend, "download", serve, target=name)


def _verify(backend: Backend, request: Request, purpose: str) -> tuple[str, str]:
    try:
        kind, md5, name = backend.signer.verify(request.path_params["token"])
    except ValueError as error:
        raise UsageError(str(error)) from error
    if kind != purpose or not isinstance(md5, str) or not isinstance(name, str):
        msg = "the link is for something else"
        raise UsageError(msg)
    return md5, name


def _keep(backend: Backend, blob: Blob, md5: str, name: str) -> Response:
    if blob.md5 != md5:
        backend.blobs.remove(blob.name)
        return PlainTextResponse(f"{name!r} arrived with the MD5 {blob.md5!r}, not {md5!r}: send it again", 400)
    try:
        with backend.database.write() as connection:
            kept = entry_table.keep_blob(connection, blob)
            known = entry_table.find_blob(connection, md5) is not None
    except BaseException:
        backend.blobs.remove(blob.name)
        raise
    if not kept:
        backend.blobs.remove(blob.name)
    return Response() if known else PlainTextResponse("the artifact was deleted", 404)


def _find(backend: Backend, md5: str) -> Blob | None:
    with backend.database.read() as connection:
        return entry_table.find_blob(connection, md5)


def _find_in_collection(backend: Backend, parts: dict[str, str], digest: str) -> Blob | None:
    try:
        md5 = base64.b64encode(binascii.unhexlify(digest)).decode()
    except ValueError:
        return None
    with backend.database.read() as connection:
        project = project_table.find(connection, parts["entity"], parts["project"])
        collection = collection_table.find(connection, project.id, parts["collection"]) if project else None
        if collection is None or not entry_table.is_in_collection(connection, collection.id, md5):
            return None
        return entry_table.find_blob(connection, md5)


ROUTES = [
    Route("/signed/artifacts/{token}", upload, methods=["PUT"]),
    Route("/signed/artifacts/{token}", download, methods=["GET"]),
    Route("/artifactsV2/{region}/{entity}/{project}/{collection}/{rest:path}", download_by_md5, methods=["GET"]),
]
