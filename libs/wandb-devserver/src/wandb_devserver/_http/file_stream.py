"""Endpoint `file_stream`, to which a run sends its lines, heartbeats and exit code."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import JSONResponse, Response

from wandb_devserver._complexity import TooComplexError
from wandb_devserver._domain import dispatch, lifecycle
from wandb_devserver._errors import UsageError
from wandb_devserver._http.body import LIMIT, read_json_body, refusal
from wandb_devserver._http.fault_responses import respond
from wandb_devserver._json import Json, JsonObject, is_int64, is_number, loads, loads_request
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import trials as trial_table

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.lines import Stream
    from wandb_devserver._storage.runs import StoredRun
    from wandb_devserver._testing.faults import Fault

logger = logging.getLogger("wandb_devserver")

_STREAMS: dict[str, Stream] = {
    "wandb-history.jsonl": "history",
    "wandb-events.jsonl": "events",
    "output.log": "console",
}
# GraphQL gives numbers of lines as 32-bit integers.
_MAX_POSITION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RunPath:
    entity: str
    project: str
    run: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.run}"


async def file_stream(request: Request) -> Response:
    """`POST /files/{entity}/{project}/{run}/file_stream`."""
    backend: Backend = request.app.state.backend
    path = RunPath(**request.path_params)
    # Read before a fault strikes, so that a dropped connection loses the response and not the request.
    body = await read_json_body(request)

    async def serve(fault: Fault | None) -> Response:  # noqa: ARG001 - faults do not change what is stored
        return await run_sync(_apply, backend, path, request, body)

    return await respond(backend, "file_stream", serve, target=path.run)


def _apply(backend: Backend, path: RunPath, request: Request, body: bytes) -> Response:
    try:
        message = _decode(body, request.headers.get("content-encoding", ""))
    except TooComplexError as error:
        return _refused(path, 413, error)
    except (UsageError, zlib.error) as error:
        return _refused(path, 400, error)
    client = request.headers.get("x-wandb-async-client-id") or None
    try:
        return _store(backend, path, message, client)
    except UsageError as error:
        return _refused(path, 400, error)


def _store(backend: Backend, path: RunPath, message: JsonObject, client: str | None) -> Response:
    with backend.database.write() as connection:
        run = run_table.find_by_path(connection, path.entity, path.project, path.run)
        if run is None:
            return refusal(404, f"run {str(path)!r} does not exist: it was deleted or never opened")
        apply_message(connection, run, message, client)
    return JSONResponse({"stopped": True} if run.stop_requested else {})


def apply_message(connection: sqlite3.Connection, run: StoredRun, message: JsonObject, client: str | None) -> None:
    """Store the contents of one file_stream request; repeating it changes nothing.

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
        lifecycle.complete(connection, run, _whole(message.get("exitcode"), "exitcode"))
        sweep_id = trial_table.sweep_of(connection, run.id)
        if sweep_id is not None:
            dispatch.settle(connection, sweep_id)
    elif message.get("preempting"):
        lifecycle.mark_preempting(connection, run)
    else:
        lifecycle.beat(connection, run, shared=client is not None)


def _store_file(connection: sqlite3.Connection, run: StoredRun, name: str, content: Json, client: str | None) -> None:
    lines = content.get("content") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(lines, list):
        return
    texts = [_line(name, number, line) for number, line in enumerate(lines)]
    if name == "wandb-summary.json":
        if texts:
            run_table.edit(connection, run, run_table.RunChanges(summary=texts[-1]), merge=client is not None)
        return
    if name not in _STREAMS:
        logger.warning("file_stream of run %r: unknown file %r ignored", run.name, name)
        return
    offset = _whole(content.get("offset"), f"offset of {name}", first=0, last=_MAX_POSITION - len(texts))
    chunk = line_table.Chunk(_STREAMS[name], offset, texts)
    if client is None:
        line_table.append_plain(connection, run.id, chunk)
    else:
        line_table.append_shared(connection, run.id, chunk, client)


def _line(name: str, number: int, line: Json) -> str:
    what = f"line {number} of {name}"
    if not isinstance(line, str):
        msg = f"{what} is a {type(line).__name__}: each line is a string"
        raise UsageError(msg)
    if name == "output.log":
        return line
    try:
        row = loads(line)
    except TooComplexError as error:
        msg = f"{what}: {error}"
        raise UsageError(msg) from error
    except ValueError:
        return line
    step = row.get("_step") if isinstance(row, dict) else None
    if isinstance(step, (int, float)) and not (is_number(step) and is_int64(int(step))):
        msg = f"{what} has the _step {str(step)[:40]}: use a whole number of 64 bits"
        raise UsageError(msg)
    return line


def _whole(value: Json, what: str, first: int = -(2**63), last: int = 2**63 - 1) -> int:
    if not isinstance(value, int):
        return 0
    if not first <= value <= last:
        msg = f"{what} is {value}: use a whole number from {first} to {last}"
        raise UsageError(msg)
    return value


def _refused(path: RunPath, status: int, error: Exception) -> Response:
    logger.warning("file_stream of %s refused: %s", path, error)
    return refusal(status, str(error))


def _decode(body: bytes, encoding: str) -> JsonObject:
    text = _decompressed(body) if encoding == "gzip" else body
    return loads_request(text) if text else {}


def _decompressed(body: bytes) -> bytes:
    # Never more than a body may be without compression.
    stream = zlib.decompressobj(wbits=31)
    text = stream.decompress(body, LIMIT)
    if stream.unconsumed_tail:
        msg = f"the decompressed body exceeds {LIMIT} bytes"
        raise TooComplexError(msg)
    if not stream.eof:
        msg = "the body is not a complete gzip stream"
        raise UsageError(msg)
    return text
