"""Destinations in fsspec file systems."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from wandb_artifacts._destination.base import Stat
from wandb_artifacts._destination.errors import refusal
from wandb_artifacts._destination.part_file import SpooledPart
from wandb_artifacts._destination.store import FileDetails, Store
from wandb_artifacts._destination.url import DestinationUrl

if TYPE_CHECKING:
    from wandb_artifacts._destination.digests import Algorithm
    from wandb_artifacts._destination.url import FileSystem

_PIECE = 4 * 1024 * 1024


class RemoteTarget:
    """A folder in an fsspec file system: an object store, memory, another machine.

    Args:
        store: The file system.
        path: The folder in it.
        folder: The same folder relative to the URL that the user passed, for messages.
    """

    def __init__(self, store: Store, path: str, folder: str = "") -> None:
        self._store = store
        self._path = path
        self._folder = folder

    @classmethod
    def open(cls, url: str, storage_options: Mapping[str, object]) -> RemoteTarget:
        parsed = DestinationUrl(url, storage_options)
        file_system, path = parsed.open()
        return cls(Store(file_system, parsed), path)

    @property
    def url(self) -> str:
        return f"{self._store.shown}/{self._folder}" if self._folder else self._store.shown

    def prepare(self) -> None:
        if self._store.has_folders:
            self._store.make_folder(self._path, self.url)

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()

    def within(self, folder: str) -> RemoteTarget:
        return RemoteTarget(self._store, self._full(folder), f"{self._folder}/{folder}".lstrip("/"))

    def part(self, path: str, key: str = "", algorithm: Algorithm = "md5") -> SpooledPart:  # noqa: ARG002
        return SpooledPart(path, lambda spool, size, md5: self._upload(path, spool, size, md5), algorithm)

    def read(self, path: str) -> bytes | None:
        try:
            return self._store.do(f"read {self.url}/{path}", lambda fs: fs.cat_file(self._full(path)))
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> Stat:
        full = self._full(path)
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        return self._stored(path, len(data), md5, lambda fs: fs.pipe_file(full, data))

    def chunks(self, path: str) -> Iterator[bytes]:
        doing = f"read {self.url}/{path}"
        if self.stat(path) is None:
            raise FileNotFoundError(path)
        file = self._store.do(doing, lambda fs: fs.open(self._full(path), "rb"))
        try:
            while piece := self._store.once(doing, lambda _: file.read(_PIECE)):
                yield piece
        finally:
            file.close()

    def stat(self, path: str) -> Stat | None:
        try:
            found = self._info(path, f"read {self.url}/{path}")
        except FileNotFoundError:
            return None
        return found.stat if found.is_file else None

    def stats(self, paths: Iterable[str]) -> dict[str, Stat]:
        return {path: stat for path in paths if (stat := self.stat(path))}

    def tidy(self) -> None:
        pass

    def paths(self) -> list[str]:
        def find(fs: FileSystem) -> list[str]:
            fs.invalidate_cache()
            return list(fs.find(self._path))

        try:
            found = self._store.do(f"list {self.url}", find)
        except FileNotFoundError:
            return []
        start = self._path.strip("/") + "/" if self._path.strip("/") else ""
        names = (name.lstrip("/") for name in found)
        return sorted(name.removeprefix(start) for name in names if name.startswith(start) and name != start)

    def _upload(self, path: str, spool: str, size: int, md5: bytes) -> Stat:
        full = self._full(path)
        return self._stored(path, size, md5, lambda fs: fs.put_file(spool, full))

    def _stored(self, path: str, size: int, md5: bytes, send: Callable[[FileSystem], object]) -> Stat:
        """Send a complete file, and check what was stored."""
        doing = f"write {self.url}/{path}"
        full = self._full(path)

        def attempt(fs: FileSystem) -> Stat:
            if self._store.has_folders:
                fs.makedirs(full.rpartition("/")[0], exist_ok=True)
            send(fs)
            fs.invalidate_cache(full)
            found = FileDetails(fs.info(full))
            if found.size != size:
                msg = f"{found.size} bytes were stored of {size} sent"
                raise OSError(msg)
            if self._store.tags_are_digests and found.md5 not in (None, md5):
                self._compare(fs, full, md5)
            return found.stat

        try:
            return self._store.do(doing, attempt)
        except FileNotFoundError as error:
            raise refusal(doing, "no such bucket or folder; create it first", error.errno) from error

    def _compare(self, fs: FileSystem, full: str, md5: bytes) -> None:
        """Read back a file with an unexpected tag. Stores that encrypt have tags that look like digests but are not."""
        digest = hashlib.md5(usedforsecurity=False)
        with fs.open(full, "rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        if digest.digest() != md5:
            msg = "the stored data differs from what was sent (MD5)"
            raise OSError(msg)
        self._store.tags_are_digests = False

    def _info(self, path: str, doing: str) -> FileDetails:
        full = self._full(path)

        def look(fs: FileSystem) -> Mapping[str, object]:
            fs.invalidate_cache(full)
            return fs.info(full)

        return FileDetails(self._store.do(doing, look))

    def _full(self, path: str) -> str:
        return f"{self._path}/{path}"
