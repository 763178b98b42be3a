"""Sinks for single files: memory, or a path of this machine."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from wandb_artifacts._destination.base import Stat
from wandb_artifacts._destination.digests import Digests
from wandb_artifacts._errors import ServerAnswerError

if TYPE_CHECKING:
    from pathlib import Path

    from wandb_artifacts._destination.digests import Algorithm

_PIECE = 1024 * 1024
MEMORY_LIMIT = 256 * 1024 * 1024
"""Bytes of a file whose size W&B does not report."""


class Memory:
    """One file in memory.

    Args:
        size: The size that W&B reports; without one, no more than `MEMORY_LIMIT` bytes are accepted.
    """

    def __init__(self, size: int | None = None) -> None:
        self._part = _MemoryPart(None if size is not None else MEMORY_LIMIT)

    @property
    def data(self) -> bytes:
        """The received data."""
        return bytes(self._part.data)

    def part(self, path: str, key: str = "", algorithm: Algorithm = "md5") -> _MemoryPart:  # noqa: ARG002 - one file
        self._part.algorithm = algorithm
        if not key:
            self._part.restart()
        return self._part

    def write(self, path: str, data: bytes) -> Stat:  # noqa: ARG002
        self._part.restart()
        self._part.write(data)
        return self._part.commit()


class _MemoryPart:
    algorithm: Algorithm = "md5"

    def __init__(self, limit: int | None) -> None:
        self.data = bytearray()
        self._limit = limit

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        if self._limit is not None and len(self.data) + len(data) > self._limit:
            self.restart()
            msg = f"has more than {self._limit // 2**20} MB and no known size; download it to a file, as `get` does"
            raise ServerAnswerError(msg)
        self.data += data

    def restart(self) -> None:
        self.data = bytearray()

    def md5(self) -> bytes:
        return Digests(data=self.data).md5

    def digest(self) -> bytes:
        return Digests(self.algorithm, self.data).digest

    def commit(self) -> Stat:
        return Stat(self.size, "")

    def close(self) -> None:
        pass

    def discard(self) -> None:
        self.restart()


class LocalFile:
    """One file of this machine, written under a temporary name and moved into place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Short: the name of the file itself may be as long as the file system allows.
        self._temporary = path.with_name(f".{secrets.token_hex(8)}.part")

    def part(self, path: str, key: str = "", algorithm: Algorithm = "md5") -> _FilePart:  # noqa: ARG002 - one file
        part = _FilePart(self._temporary, self._path, algorithm)
        if not key:
            part.restart()
        return part

    def write(self, path: str, data: bytes) -> Stat:
        part = self.part(path)
        try:
            part.write(data)
            return part.commit()
        finally:
            part.close()

    def discard(self) -> None:
        """Remove a temporary file that was not moved into place."""
        self._temporary.unlink(missing_ok=True)


class _FilePart:
    def __init__(self, temporary: Path, final: Path, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._temporary = temporary
        self._final = final
        self._file = temporary.open("ab")

    @property
    def size(self) -> int:
        return self._file.tell()

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def md5(self) -> bytes:
        return self._digests().md5

    def digest(self) -> bytes:
        return self._digests().digest

    def _digests(self) -> Digests:
        self._file.flush()
        digests = Digests(self._algorithm)
        with self._temporary.open("rb") as file:
            while piece := file.read(_PIECE):
                digests.update(piece)
        return digests

    def commit(self) -> Stat:
        size = self.size
        self._file.close()
        self._temporary.replace(self._final)
        return Stat(size, "")

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)
