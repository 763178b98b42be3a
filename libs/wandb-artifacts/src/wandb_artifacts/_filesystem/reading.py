"""File objects for files at W&B, and requests for whole files and ranges of bytes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from fsspec.asyn import AbstractAsyncStreamedFile
from fsspec.spec import AbstractBufferedFile

from wandb_artifacts._client.retry import TransientError
from wandb_artifacts._destination.digests import Digests
from wandb_artifacts._download.transfer import REFUSALS, Transfer
from wandb_artifacts._errors import ServerAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from wandb_artifacts._client.api import Api
    from wandb_artifacts._destination.base import Sink
    from wandb_artifacts._destination.digests import Algorithm
    from wandb_artifacts._download.sources import Source
    from wandb_artifacts._filesystem.listing import Info

BLOCK_SIZE = 4 * 1024 * 1024
_BLOCKS = 16


class BufferedFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec is not typed
    """A seekable file that is read block by block."""

    DEFAULT_BLOCK_SIZE = BLOCK_SIZE

    def __init__(
        self,
        fs: object,
        info: Info,
        fetch: Callable[[int, int], bytes],
        *,
        block_size: int | None,
        cache_type: str,
        cache_options: dict[str, Any] | None,
    ) -> None:
        self._details = info
        self._fetch = fetch
        if cache_type == "blockcache":
            cache_options = {"maxblocks": _BLOCKS, **(cache_options or {})}
        super().__init__(
            fs,
            info["name"],
            "rb",
            block_size=block_size,
            cache_type=cache_type,
            cache_options=cache_options,
            size=info["size"],
        )

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._fetch(start, min(end, self.size))


class StreamedFile(AbstractAsyncStreamedFile):  # type: ignore[misc]  # fsspec is not typed
    """A file that is read from start to end without blocking a loop, and verified at the end."""

    def __init__(
        self,
        fs: object,
        info: Info,
        fetch: Callable[[int, int], Awaitable[bytes]],
        block_size: int,
        digest: bytes | None,
        algorithm: Algorithm = "md5",
    ) -> None:
        self._details = info
        self._expected = digest
        self._fetch = fetch
        self._block = b""
        self._block_end = 0
        self._digests = Digests(algorithm)
        super().__init__(fs, info["name"], "rb", block_size=block_size, cache_type="none", size=info["size"])

    async def _fetch_range(self, start: int, end: int) -> bytes:
        end = min(end, self.size)
        found = []
        while start < end:
            if start >= self._block_end:
                await self._advance()
            at = len(self._block) - (self._block_end - start)
            found.append(self._block[at : at + end - start])
            start += len(found[-1])
        return b"".join(found)

    async def _advance(self) -> None:
        begin, end = self._block_end, min(self._block_end + self.blocksize, self.size)
        block = await self._fetch(begin, end)
        self._digests.update(block)
        if end == self.size and self._expected not in (None, self._digests.digest):
            msg = f"{self.path}: the received data has another digest than W&B reports"
            raise ServerAnswerError(msg)
        self._block, self._block_end = block, end


_WHOLE, _PARTIAL, _UNSATISFIABLE = 200, 206, 416


async def fetch(api: Api, source: Source, sink: Sink, on_bytes: Callable[[int], None] = lambda _: None) -> None:
    """Fetch a whole file, with retries until its size and digest are those that W&B reports.

    Args:
        api: The session.
        source: The file.
        sink: Stores the file.
        on_bytes: Called with the number of bytes that are there.
    """
    await Transfer(api, source, sink, "", on_bytes)()


async def fetch_range(api: Api, source: Source, start: int, end: int) -> bytes:
    """Fetch bytes of a file of known size, from `start` up to `end` (not included).

    Raises:
        OSError: ESTALE: The file was replaced at W&B.
    """

    async def attempt() -> bytes:
        async with api.get(source.url, what=source.what, start=start, end=end) as response:
            skipped = _bytes_to_skip(response, start, source)
            found = await _read_slice(response, skipped, end - start)
        if len(found) < end - start:
            msg = "the response broke off"
            raise TransientError(msg)
        return found

    try:
        return await api.retry(attempt, what=source.what)
    except REFUSALS as error:
        if api.is_own(source.url) or error.status is None:
            raise
    # On other hosts, a refusal may mean that the signed URL has expired.
    known, source = source, await api.retry(source.renew, what=source.what)
    if not known.is_same(source):
        raise _changed(source.what)
    return await api.retry(attempt, what=source.what)


def _bytes_to_skip(response: aiohttp.ClientResponse, start: int, source: Source) -> int:
    """Return how many bytes of the response precede the requested ones."""
    if response.status == _UNSATISFIABLE:
        raise _changed(source.what)
    if response.status == _PARTIAL:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if total not in (str(source.size), "*"):
            raise _changed(source.what)
        first = span.partition("-")[0]
        if not first.isdecimal() or int(first) > start:
            msg = "the response has another range than requested"
            raise TransientError(msg)
        return start - int(first)
    if response.content_length not in (None, source.size):
        raise _changed(source.what)
    return start


def _changed(what: str) -> OSError:
    return OSError(errno.ESTALE, f"{what} was replaced at W&B while it was read; open it again")


async def _read_slice(response: aiohttp.ClientResponse, skip: int, length: int) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk[skip:]
        skip = max(skip - len(chunk), 0)
        if len(found) >= length:
            break
    return bytes(found[:length])
