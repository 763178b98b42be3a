"""The transfer of one file from W&B to the destination: resumed, verified, moved into place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client.bodies import read_announced
from wandb_artifacts._client.retry import TransientError
from wandb_artifacts._destination.digests import Digests
from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    DownloadError,
    NotFoundError,
    ServerAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from wandb_artifacts._client.api import Api
    from wandb_artifacts._destination.base import Part, Sink, Stat
    from wandb_artifacts._download.sources import Source

SMALL = 1024 * 1024
"""Bytes; a file up to this size stays in memory until it is verified, and is stored in one step."""
_PIECE = 1024 * 1024
REFUSALS = (AuthenticationError, AccessDeniedError, NotFoundError, ServerAnswerError)
"""Possible responses to an expired URL: 403 from S3, 400 from Google, 410 from others."""
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416


class Arrived(NamedTuple):
    size: int
    md5: bytes
    stat: Stat


class Transfer:
    """The attempts at one file."""

    def __init__(self, api: Api, source: Source, target: Sink, path: str, on_bytes: Callable[[int], None]) -> None:
        self._api = api
        self._source = source
        self._target = target
        self._path = path
        self._on_bytes = on_bytes
        self._most = 0
        self._is_fresh = False

    async def __call__(self) -> Arrived:
        """Fetch the file.

        Raises:
            DownloadError: It cannot be fetched or stored.
        """
        is_small = self._source.size is not None and self._source.size <= SMALL
        attempt = self._small if is_small else self._large
        return await self._api.retry(attempt, what=self._source.what, progress=lambda: self._most)

    async def _small(self) -> Arrived:
        try:
            async with self._api.get(self._source.url, what=self._source.what) as response:
                body = await read_announced(response, self._source.size or 0)
        except REFUSALS as error:
            await self._renew(error)
        self._on_bytes(len(body))
        digests = Digests(self._source.algorithm, body)
        if not self._is_right(len(body), digests.digest):
            await self._check_for_update(len(body))
        return Arrived(len(body), digests.md5, await to_thread(self._target.write, self._path, body))

    async def _large(self) -> Arrived:
        source = self._source
        part = await to_thread(self._target.part, self._path, source.key, source.algorithm)
        try:
            if part.size != source.size:
                await self._append(part)
            md5, received = await to_thread(part.md5), part.size
            digest = md5 if source.algorithm == "md5" else await to_thread(part.digest)
            if not self._is_right(received, digest):
                if source.size is None or part.size >= source.size:
                    await to_thread(part.restart)
                await self._check_for_update(received)
            return Arrived(part.size, md5, await to_thread(part.commit))
        finally:
            await to_thread(part.close)

    async def _append(self, part: Part) -> None:
        start = part.size
        try:
            async with self._api.get(self._source.url, what=self._source.what, start=start) as response:
                if response.status == _UNSATISFIABLE or not _begins_at(response, start):
                    await to_thread(part.restart)
                    if response.status != _OK:
                        msg = "the server does not support the requested range"
                        raise TransientError(msg)
                await self._write_stream(response, part)
        except REFUSALS as error:
            await self._renew(error)

    async def _write_stream(self, response: aiohttp.ClientResponse, part: Part) -> None:
        """Write the body to the part; reads the next piece while the last one is written.

        A body that is longer than W&B reports is not read on: one byte more shows that it is wrong.
        """
        piece = bytearray()
        writing: asyncio.Task[None] | None = None
        left = None if self._source.size is None else max(self._source.size + 1 - part.size, 0)
        try:
            async for data in response.content.iter_any():
                piece += data[:left]
                if left is not None:
                    left = max(left - len(data), 0)
                    if not left:
                        break
                if len(piece) >= _PIECE:
                    if writing:
                        await writing
                    writing = asyncio.ensure_future(self._store(part, bytes(piece)))
                    piece.clear()
        finally:
            # Received data is kept, whatever ended the transfer.
            if writing:
                await writing
            if piece:
                await self._store(part, bytes(piece))

    async def _store(self, part: Part, data: bytes) -> None:
        await to_thread(part.write, data)
        self._most = max(self._most, part.size)
        # A long transfer may need several URLs.
        self._is_fresh = False
        self._on_bytes(part.size)

    def _is_right(self, size: int, digest: bytes) -> bool:
        expected = self._source
        return expected.size in (None, size) and expected.digest in (None, digest)

    async def _check_for_update(self, received: int) -> None:
        """Check whether the file was replaced meanwhile, as files of a running run are. Always raises."""
        known, self._source = self._source, await self._source.renew()
        if not known.is_same(self._source):
            msg = "the file has changed at W&B"
        elif known.size is not None and received > known.size:
            msg = f"the response is longer than the {known.size} bytes that W&B reports"
        else:
            msg = "the received data differs in size or digest from what W&B reports"
        raise TransientError(msg)

    async def _renew(self, error: DownloadError) -> None:
        """Fetch a new URL once, because a refusal may mean that the signed one has expired. Always raises."""
        if self._is_fresh or self._api.is_own(self._source.url) or error.status is None:
            raise error
        self._is_fresh = True
        self._source = await self._source.renew()
        msg = "the file URL has expired"
        raise TransientError(msg)


def _begins_at(response: aiohttp.ClientResponse, start: int) -> bool:
    if response.status == _PARTIAL:
        return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return start == 0
