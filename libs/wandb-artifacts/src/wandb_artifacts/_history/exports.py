"""History that W&B has exported to Parquet files: found, and fetched to partial files that pyarrow can read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO

from wandb_artifacts._asyncio import for_each, to_thread
from wandb_artifacts._client.options import current_options
from wandb_artifacts._client.retry import Retrier, TransientError
from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    NotFoundError,
    ServerAnswerError,
    ServerUnavailableError,
)

if TYPE_CHECKING:
    import aiohttp

    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.remote import HistoryExports
    from wandb_artifacts._destination.base import ReadablePart, Target
    from wandb_artifacts._refs import RunRef

_FILES_AT_ONCE = 8
_PIECE = 256 * 1024
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_REFUSALS = (AuthenticationError, AccessDeniedError, NotFoundError, ServerAnswerError)


class UnreadableExportsError(Exception):
    """The exports of a run cannot be read. All its rows can be read by pages."""


@dataclass(frozen=True)
class FetchedExports:
    """The exported part of a history, on this machine."""

    files: list[BinaryIO]
    """Complete Parquet files, in any order."""
    live_steps: tuple[int, int] | None
    """See `HistoryExports`."""


class RunExports:
    """The exported history of one run.

    Args:
        api: The server.
        run: The run.
        target: Where the download goes; the files are fetched to parts of it, which an interrupted call leaves there.
        name: The name of the history file, under which the parts are.
    """

    def __init__(self, api: Api, run: RunRef, target: Target, name: str) -> None:
        self._api = api
        self.run = run
        self._target = target
        self._name = name

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FetchedExports | None]:
        """Fetch all exported files for the block; None if nothing is exported.

        Raises:
            UnreadableExportsError: They cannot be fetched, or pyarrow is not installed.
            DownloadError: The server cannot be reached, or the destination cannot be written.
        """
        if find_spec("pyarrow") is None:
            msg = "pyarrow is not installed (pip install 'wandb-artifacts[parquet]')"
            raise UnreadableExportsError(msg)
        found = await self._find(retries=True)
        if found is None or not found.urls:
            yield None
            return
        urls = _Urls(found, partial(self._find, retries=False))
        # Apart from the client's: the files are in an object store, and its outage is not one of W&B.
        retry = Retrier(current_options().retry)
        fetches = [_Fetch(self._api, urls, retry, self._target, f"{self._name}/{key}", key) for key in urls.keys]
        try:
            await for_each(fetches, lambda fetch: fetch(), workers=_FILES_AT_ONCE)
            files = await to_thread(lambda: [fetch.open() for fetch in fetches])
            yield FetchedExports(files, found.live_steps)
        except UnreadableExportsError:
            await to_thread(_close, fetches, discards=True)
            raise
        except BaseException:
            await to_thread(_close, fetches, discards=False)
            raise
        await to_thread(_close, fetches, discards=True)

    async def _find(self, *, retries: bool) -> HistoryExports | None:
        try:
            return await self._api.history_exports(self.run, retries=retries)
        except ServerAnswerError as error:
            raise UnreadableExportsError(str(error)) from error


class _Urls:
    """The current URLs of the exported files. They expire together, so that one request renews them all."""

    def __init__(self, found: HistoryExports, find: Callable[[], Awaitable[HistoryExports | None]]) -> None:
        self._find = find
        self._urls = _by_key(found.urls)
        self._lock = asyncio.Lock()
        self.age = 0
        """How often they were renewed."""

    @property
    def keys(self) -> list[str]:
        return list(self._urls)

    def __getitem__(self, key: str) -> str:
        return self._urls[key]

    async def renew(self, age: int) -> None:
        """Fetch new URLs, unless others have replaced those that were refused.

        Args:
            age: The value of `age` when a URL was read that was refused.

        Raises:
            UnreadableExportsError: W&B does not have this file any more.
        """
        async with self._lock:
            if age != self.age:
                return
            found = await self._find()
            renewed = _by_key(found.urls) if found else {}
            if renewed.keys() != self._urls.keys():
                msg = "W&B has exported other files meanwhile"
                raise UnreadableExportsError(msg)
            self._urls, self.age = renewed, age + 1


class _Fetch:
    """The attempts at one exported file."""

    def __init__(self, api: Api, urls: _Urls, retry: Retrier, target: Target, path: str, key: str) -> None:
        self._api = api
        self._urls = urls
        self._retry = retry
        self._target = target
        self._path = path
        self._key = key
        self._version = ""
        self._is_fresh = False
        self.part: ReadablePart | None = None
        self._file: BinaryIO | None = None

    async def __call__(self) -> None:
        try:
            await self._retry(self._attempt, what="exported history", progress=self._received)
        except ServerUnavailableError as error:
            raise UnreadableExportsError(str(error)) from error

    def open(self) -> BinaryIO:
        """Open the complete file, until `close`."""
        assert self.part
        self._file = self.part.reader()
        return self._file

    def close(self, *, discards: bool) -> None:
        """Release the file, and remove it if nobody can use it later."""
        if self._file:
            self._file.close()
        if self.part and discards:
            self.part.discard()
        if self.part:
            self.part.close()

    def _received(self) -> int:
        return self.part.size if self.part else 0

    async def _attempt(self) -> None:
        """Fetch what is missing; again at once if the URL has expired, or an earlier call left a part."""
        while not await self._request():
            pass

    async def _request(self) -> bool:
        """Return whether the file is complete."""
        start, url, age = self._received(), self._urls[self._key], self._urls.age
        try:
            async with self._api.get_export(url, start=start, what="exported history") as response:
                return await self._receive(response, start)
        except _REFUSALS as error:
            if self._is_fresh or isinstance(error, NotFoundError) or error.status is None:
                raise UnreadableExportsError(str(error)) from error
            self._is_fresh = True
            await self._urls.renew(age)
            return False

    async def _receive(self, response: aiohttp.ClientResponse, start: int) -> bool:
        size = _total_size(response, start)
        version = f"{response.headers.get('ETag', '')}-{size}"
        if self.part is None:
            # Without a tag it is unknown whether the rest belongs to the partial file of an earlier call.
            key = f"{self._key}-{version}" if "ETag" in response.headers else ""
            self.part, self._version = await to_thread(self._target.part, self._path, key), version
            if self.part.size:
                return self.part.size == size
        part = self.part
        if response.status == _UNSATISFIABLE or version != self._version or (start and response.status != _PARTIAL):
            await to_thread(part.restart)
            self._version = version
            if response.status != _OK:
                msg = "an exported file has changed"
                raise TransientError(msg)
        await self._write(response, part)
        if size is not None and part.size != size:
            msg = "the response broke off"
            raise TransientError(msg)
        return True

    async def _write(self, response: aiohttp.ClientResponse, part: ReadablePart) -> None:
        piece = bytearray()
        try:
            async for data in response.content.iter_any():
                piece += data
                if len(piece) >= _PIECE:
                    await self._store(part, piece)
        finally:
            # Received data is kept, whatever ended the transfer.
            if piece:
                await self._store(part, piece)

    async def _store(self, part: ReadablePart, piece: bytearray) -> None:
        data = bytes(piece)
        piece.clear()
        await to_thread(part.write, data)
        # A long transfer may need several URLs.
        self._is_fresh = False


def _by_key(urls: tuple[str, ...]) -> Mapping[str, str]:
    """Return URLs by what identifies their files: all but the query, which is the signature."""
    return {hashlib.sha256(url.partition("?")[0].encode()).hexdigest()[:40]: url for url in urls}


def _total_size(response: aiohttp.ClientResponse, start: int) -> int | None:
    """Return the size of the whole file; None if the response does not have it."""
    if response.status in (_PARTIAL, _UNSATISFIABLE):
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        return int(total) if total.isdecimal() else None
    return response.content_length if not start or response.status == _OK else None


def _close(fetches: list[_Fetch], *, discards: bool) -> None:
    for fetch in fetches:
        fetch.close(discards=discards)
