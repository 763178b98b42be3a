from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from wandb_artifacts._destination.base import Stat
from wandb_artifacts._destination.errors import refusal
from wandb_artifacts._destination.part_file import SpooledPart
from wandb_artifacts._destination.store import Information, Store
from wandb_artifacts._destination.url import Address

if TYPE_CHECKING:
    from wandb_artifacts._destination.url import FileSystem

_PIECE = 4 * 1024 * 1024


class RemoteTarget:
    """A folder in an fsspec file system: an object store, memory, another machine.

    Args:
        store: The file system, and what may be said of it.
        path: The folder in it.
        folder: The same below the URL that the user named, for people.
    """

    def __init__(self, store: Store, path: str, folder: str = "") -> None:
        self._store = store
        self._path = path
        self._folder = folder

    @classmethod
    def open(cls, url: str, storage_options: Mapping[str, object]) -> RemoteTarget:
        address = Address(url, storage_options)
        file_system, path = address.open()
        return cls(Store(file_system, address), path)

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

    def part(self, path: str, key: str = "") -> SpooledPart:  # noqa: ARG002
        return SpooledPart(path, lambda spool, size, md5: self._upload(path, spool, size, md5))

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
        """Sends a file as a whole, and looks at what arrived."""
        doing = f"write {self.url}/{path}"
        full = self._full(path)

        def attempt(fs: FileSystem) -> Stat:
            if self._store.has_folders:
                fs.makedirs(full.rpartition("/")[0], exist_ok=True)
            send(fs)
            fs.invalidate_cache(full)
            found = Information(fs.info(full))
            if found.size != size:
                msg = f"it has {found.size} bytes there, {size} were sent"
                raise OSError(msg)
            if self._store.tags_are_digests and found.md5 not in (None, md5):
                self._compare(fs, full, md5)
            return found.stat

        try:
            return self._store.do(doing, attempt)
        except FileNotFoundError as error:
            raise refusal(doing, "there is no such bucket or folder; make it first", error.errno) from error

    def _compare(self, fs: FileSystem, full: str, md5: bytes) -> None:
        """Reads back what has another tag: where a store encrypts by a key, a tag looks like a digest and is none."""
        digest = hashlib.md5(usedforsecurity=False)
        with fs.open(full, "rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        if digest.digest() != md5:
            msg = "it has other contents there than were sent (MD5)"
            raise OSError(msg)
        self._store.tags_are_digests = False

    def _info(self, path: str, doing: str) -> Information:
        full = self._full(path)

        def look(fs: FileSystem) -> Mapping[str, object]:
            fs.invalidate_cache(full)
            return fs.info(full)

        return Information(self._store.do(doing, look))

    def _full(self, path: str) -> str:
        return f"{self._path}/{path}"
