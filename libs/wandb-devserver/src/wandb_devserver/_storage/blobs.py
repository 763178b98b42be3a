"""File contents on disk, under generated names: nothing a client sends becomes a path."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Blob:
    """Stored contents: its name in the store, size in bytes and base64 MD5."""

    name: str
    size: int
    md5: str


class BlobStore:
    """A folder of immutable contents."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        # Uploads that a previous server did not live to see the end of.
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def writer(self) -> BlobWriter:
        return BlobWriter(self, self._incoming / secrets.token_hex(16))

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)


class BlobWriter:
    """Contents that are still arriving: hashed on the way, in place only once complete."""

    def __init__(self, store: BlobStore, partial: Path) -> None:
        self._store = store
        self._partial = partial
        self._stream = partial.open("xb")
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def write(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        self._md5.update(chunk)
        self._size += len(chunk)

    def commit(self) -> Blob:
        """Move the contents into the store."""
        self._stream.close()
        blob = Blob(self._partial.name, self._size, base64.b64encode(self._md5.digest()).decode())
        target = self._store.path(blob.name)
        target.parent.mkdir(exist_ok=True)
        self._partial.replace(target)
        return blob

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        self._partial.unlink(missing_ok=True)
