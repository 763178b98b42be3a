"""Artifact contents over HTTP: by signed URL, or by digest with the API key."""

from __future__ import annotations

import base64
import binascii
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wandb_devserver._errors import UsageError
from wandb_devserver._http import file_names  # noqa: F401 - registers the convertor `file`
from wandb_devserver._http.fault_responses import respond
from wandb_devserver._http.files import BlobResponse, receive
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import uploads as upload_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.blobs import Blob
    from wandb_devserver._testing.faults import Fault


async def upload(request: Request) -> Response:
    """`PUT /signed/artifacts/{token}/{path}`."""
    backend: Backend = request.app.state.backend
    try:
        digest, name, algorithm, *part = _verify(backend, request, ("artifact-upload", "artifact-part"))
    except UsageError as error:
        return PlainTextResponse(str(error), status_code=403)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults do not change what is stored
        with await run_sync(backend.blobs.writer, algorithm) as writer:
            blob = await receive(request, writer)
        if blob.digest != digest:
            await run_sync(backend.blobs.remove, blob.name)
            reason = f"{name!r} arrived with the digest {blob.digest!r}, not {digest!r}: send it again"
            return PlainTextResponse(reason, 400)
        if part:
            return await run_sync(_keep_part, backend, blob, *part)
        return await run_sync(_keep, backend, blob)

    return await respond(backend, "upload", serve, target=name)


async def download(request: Request) -> Response:
    """`GET /signed/artifacts/{token}/{path}`."""
    backend: Backend = request.app.state.backend
    try:
        digest, name = _verify(backend, request, ("artifact-download",))
    except UsageError as error:
        return PlainTextResponse(str(error), status_code=403)
    return await _send(backend, await run_sync(_find, backend, digest), name)


async def download_by_digest(request: Request) -> Response:
    """`GET /artifactsV2/{region}/{entity}/{project}/{collection}/{birth artifact}/{digest in hex}/{name}`."""
    backend: Backend = request.app.state.backend
    # The birth artifact may be empty, and the name is informational: only the digest selects the contents.
    _, _, rest = request.path_params["rest"].partition("/")
    digest, _, name = rest.partition("/")
    return await _send(backend, await run_sync(_find_in_collection, backend, request.path_params, digest), name)


async def _send(backend: Backend, blob: Blob | None, name: str) -> Response:
    if blob is None:
        return PlainTextResponse("no such contents", status_code=404)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults change the response afterwards
        return BlobResponse(
            backend.blobs.path(blob.name),
            media_type="application/octet-stream",
            filename=PurePosixPath(name).name,
            # Contents come from a client: no script in them may run with the reader's credentials.
            headers={"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"},
        )

    return await respond(backend, "download", serve, target=name)


def _verify(backend: Backend, request: Request, purposes: tuple[str, ...]) -> list[Any]:
    """Return what a signed URL is for: the digest and name of the file; for an upload, the algorithm and the part."""
    try:
        path, kind, *subject = backend.signer.verify(request.path_params["token"])
    except ValueError as error:
        raise UsageError(str(error)) from error
    if kind not in purposes or path != request.path_params["path"]:
        msg = "the URL is for another purpose"
        raise UsageError(msg)
    return subject


def _keep(backend: Backend, blob: Blob) -> Response:
    with _removing_on_error(backend, blob), backend.database.write() as connection:
        kept = entry_table.keep_blob(connection, blob)
        known = entry_table.find_blob(connection, blob.digest) is not None
    if not kept:
        backend.blobs.remove(blob.name)
    return Response() if known else PlainTextResponse("the artifact was deleted", 404)


def _keep_part(backend: Backend, blob: Blob, upload_id: str, number: int) -> Response:
    with _removing_on_error(backend, blob), backend.database.write() as connection:
        known = upload_table.find(connection, upload_id)
        replaced = upload_table.put_part(connection, upload_id, number, blob) if known else blob.name
    if replaced:
        backend.blobs.remove(replaced)
    if known is None:
        return PlainTextResponse("the upload was completed or aborted", 404)
    return Response(headers={"ETag": f'"{base64.b64decode(blob.digest).hex()}"'})


@contextmanager
def _removing_on_error(backend: Backend, blob: Blob) -> Iterator[None]:
    try:
        yield
    except BaseException:
        backend.blobs.remove(blob.name)
        raise


def _find(backend: Backend, digest: str) -> Blob | None:
    with backend.database.read() as connection:
        return entry_table.find_blob(connection, digest)


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
    Route("/signed/artifacts/{token}/{path:file}", upload, methods=["PUT"]),
    Route("/signed/artifacts/{token}/{path:file}", download, methods=["GET"]),
    Route("/artifactsV2/{region}/{entity}/{project}/{collection}/{rest:file}", download_by_digest, methods=["GET"]),
]
