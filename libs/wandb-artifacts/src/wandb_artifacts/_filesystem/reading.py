"""Files of runs as file objects."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from fsspec.asyn import AbstractAsyncStreamedFile
from fsspec.spec import AbstractBufferedFile

from wandb_artifacts._errors import ServerAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wandb_artifacts._filesystem.listing import Info
    from wandb_artifacts._client.api import RemoteFile

BLOCK_SIZE = 4 * 1024 * 1024
_BLOCKS = 16


class BufferedFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec is not typed
    """A file for reading at any place, block by block."""

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
    """A file for reading from its begin to its end, without blocking a loop; verified at the end."""

    def __init__(
        self, fs: object, info: Info, file: RemoteFile, fetch: Callable[[int, int], Awaitable[bytes]], block_size: int
    ) -> None:
        self._details = info
        self._file = file
        self._fetch = fetch
        self._block = b""
        self._block_end = 0
        self._digest = hashlib.md5(usedforsecurity=False)
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
        self._digest.update(block)
        if end == self.size and self._file.md5 not in (None, self._digest.digest()):
            msg = f"{self.path}: what arrived has another MD5 digest than W&B says"
            raise ServerAnswerError(msg)
        self._block, self._block_end = block, end
