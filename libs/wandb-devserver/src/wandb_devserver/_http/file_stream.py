"""The endpoint to which a run streams its lines, its signs of life and its end."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import JSONResponse, Response

from wandb_devserver._body import LIMIT, BodyTooLargeError, read_body
from wandb_devserver._fault_responses import respond
from wandb_devserver._json import Json, JsonObject, loads
from wandb_devserver._storage import _dispatch, _lifecycle, _lines, _runs, _trials

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._faults import Fault
    from wandb_devserver._storage._lines import Stream
    from wandb_devserver._storage._runs import StoredRun

logger = logging.getLogger("wandb_devserver")

_STREAMS: dict[str, Stream] = {
    "wandb-history.jsonl": "history",
    "wandb-events.jsonl": "events",
    "output.log": "console",
}


@dataclass(frozen=True, slots=True)
class Address:
    entity: str
    project: str
    run: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.run}"


async def file_stream(request: Request) -> Response:
    """`POST /files/{entity}/{project}/{run}/file_stream`."""
    backend: Backend = request.app.state.backend
    address = Address(**request.path_params)
    # Read before a fault strikes, so that a dropped connection loses the answer and not the question.
    try:
        body = await read_body(request)
    except BodyTooLargeError as error:
        return _refusal(413, str(error))

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults do not change what is stored
        return await run_sync(_apply, backend, address, request, body)

    return await respond(backend, "file_stream", serve, target=address.run)


def _apply(backend: Backend, address: Address, request: Request, body: bytes) -> Response:
    try:
        message = _decode(body, request.headers.get("content-encoding", ""))
    except (ValueError, zlib.error) as error:
        logger.warning("file_stream of %s refused: %s", address, error)
        return _refusal(400, f"the body is no JSON object: {error}")
    client = request.headers.get("x-wandb-async-client-id") or None
    with backend.database.write() as connection:
        run = _runs.find_by_path(connection, address.entity, address.project, address.run)
        if run is None:
            return _refusal(404, f"there is no run {str(address)!r}: it was deleted or never opened")
        apply_message(connection, run, message, client)
    return JSONResponse({"stopped": True} if run.stop_requested else {})


def apply_message(connection: sqlite3.Connection, run: StoredRun, message: JsonObject, client: str | None) -> None:
    """Store what one file_stream request says; saying it twice changes nothing.

    Args:
        connection: a connection that may write.
        run: whose writer speaks.
        message: the request's body.
        client: the writer's own id in shared mode, None for a plain writer.
    """
    files = message.get("files")
    for name, content in files.items() if isinstance(files, dict) else ():
        _store_file(connection, run, name, content, client)
    if message.get("complete"):
        exit_code = message.get("exitcode")
        _lifecycle.complete(connection, run, exit_code if isinstance(exit_code, int) else 0)
        sweep_id = _trials.sweep_of(connection, run.id)
        if sweep_id is not None:
            _dispatch.settle(connection, sweep_id)
    elif message.get("preempting"):
        _lifecycle.mark_preempting(connection, run)
    else:
        _lifecycle.beat(connection, run, shared=client is not None)


def _store_file(connection: sqlite3.Connection, run: StoredRun, name: str, content: Json, client: str | None) -> None:
    lines = content.get("content") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(lines, list):
        return
    texts = [str(line) for line in lines]
    if name == "wandb-summary.json":
        if texts:
            _runs.edit(connection, run, _runs.RunChanges(summary=texts[-1]), merge=client is not None)
        return
    if name not in _STREAMS:
        logger.warning("file_stream of run %r: unknown file %r ignored", run.name, name)
        return
    offset = content.get("offset")
    chunk = _lines.Chunk(_STREAMS[name], offset if isinstance(offset, int) else 0, texts)
    if client is None:
        _lines.append_plain(connection, run.id, chunk)
    else:
        _lines.append_shared(connection, run.id, chunk, client)


def _decode(body: bytes, encoding: str) -> JsonObject:
    text = _decompressed(body) if encoding == "gzip" else body
    value = loads(text) if text else {}
    if not isinstance(value, dict):
        msg = f"it holds a {type(value).__name__}"
        raise ValueError(msg)
    return value


def _decompressed(body: bytes) -> bytes:
    # Never more than a body may be without compression.
    stream = zlib.decompressobj(wbits=31)
    text = stream.decompress(body, LIMIT)
    if stream.unconsumed_tail or not stream.eof:
        msg = f"it is no gzip stream, or one of more than {LIMIT} bytes"
        raise ValueError(msg)
    return text


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"errors": [{"message": message}], "error": message}, status_code=status)
