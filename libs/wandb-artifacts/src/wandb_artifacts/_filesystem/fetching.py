"""Bytes of files: whole ones verified, parts of them as the server gives them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from wandb_artifacts._download.transfer import REFUSALS, Transfer
from wandb_artifacts._client.retry import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from wandb_artifacts._refs import RunRef
    from wandb_artifacts._destination.base import Sink
    from wandb_artifacts._client.api import Api, RemoteFile

_WHOLE, _PARTIAL, _UNSATISFIABLE = 200, 206, 416


async def fetch(
    api: Api, run: RunRef, file: RemoteFile, sink: Sink, moved: Callable[[int], None] = lambda _: None
) -> None:
    """Brings a whole file; retried until its size and MD5 digest are those that W&B states.

    Args:
        api: The session.
        run: Whose file it is.
        file: The file.
        sink: Where it goes.
        moved: Called with the number of bytes that are there.
    """
    await Transfer(api, run, file, sink, file.name, moved)()


async def fetch_range(api: Api, run: RunRef, file: RemoteFile, start: int, end: int) -> bytes:
    """Brings some bytes of a file of known size, from `start` up to `end` (not included).

    Raises:
        OSError: ESTALE: W&B has another file under that name by now.
    """
    what = f"file {file.name!r} of run {run}"

    async def attempt() -> bytes:
        async with api.get(run, file, start=start, end=end) as answer:
            skipped = _skipped(answer, start, file, what)
            found = await _slice(answer, skipped, end - start)
        if len(found) < end - start:
            msg = "the answer broke off"
            raise TransientError(msg)
        return found

    try:
        return await api.repeat(attempt, what=what)
    except REFUSALS:
        if api.is_own(file):
            raise
    # Elsewhere, a refusal may mean that the signed address has expired.
    known, file = file, await api.file(run, file.name)
    if (known.size, known.md5) != (file.size, file.md5):
        raise _changed(what)
    return await api.repeat(attempt, what=what)


def _skipped(answer: aiohttp.ClientResponse, start: int, file: RemoteFile, what: str) -> int:
    """How many bytes of the answer come before those that were asked for."""
    if answer.status == _UNSATISFIABLE:
        raise _changed(what)
    if answer.status == _PARTIAL:
        place, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if total not in (str(file.size), "*"):
            raise _changed(what)
        first = place.partition("-")[0]
        if not first.isdecimal() or int(first) > start:
            msg = "the answer is of another range"
            raise TransientError(msg)
        return start - int(first)
    if answer.content_length not in (None, file.size):
        raise _changed(what)
    return start


def _changed(what: str) -> OSError:
    return OSError(errno.ESTALE, f"{what} has changed at W&B while it was read; open it again")


async def _slice(answer: aiohttp.ClientResponse, skip: int, length: int) -> bytes:
    found = bytearray()
    async for chunk in answer.content.iter_any():
        found += chunk[skip:]
        skip = max(skip - len(chunk), 0)
        if len(found) >= length:
            break
    return bytes(found[:length])
