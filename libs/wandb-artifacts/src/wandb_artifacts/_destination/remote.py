from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import tenacity

from wandb_artifacts._errors import DestinationError
from wandb_artifacts._destination.errors import refusal
from wandb_artifacts._destination.url import Address
from wandb_artifacts._destination.store import Information
from wandb_artifacts._destination.spool import SpooledPart
from wandb_artifacts._destination.base import Stat

if TYPE_CHECKING:
    from wandb_artifacts._destination.url import FileSystem

R = TypeVar("R")

_PIECE = 4 * 1024 * 1024
_ATTEMPTS = 3
_LONG = 30.0
"""Seconds; who tried for so long has tried often enough."""
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "obs", "r2"})
"""They have no folders to make, and making one may make a bucket."""
_FINAL = (
    FileNotFoundError,
    PermissionError,
    NotADirectoryError,
    IsADirectoryError,
    FileExistsError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_FINAL_NAMES = frozenset(
    {"PermissionDeniedError", "UnauthenticatedError", "NotSupportedError", "InvalidPathError", "NoCredentialsError"}
)
"""Of obstore and botocore, whose errors have no builtin base."""


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


class Store:
    """A file system, tried again where that may help, with errors for people."""

    def __init__(self, file_system: FileSystem, address: Address) -> None:
        self._fs = file_system
        self._address = address
        # Others keep one connection, which takes one request at a time.
        self._turn: AbstractContextManager[object] = nullcontext() if file_system.async_impl else threading.Lock()
        self.shown = address.shown
        self.has_folders = address.protocol not in _OBJECT_STORES
        self.tags_are_digests = True

    def make_folder(self, path: str, shown: str) -> None:
        self.do(f"make the folder {shown}", lambda fs: fs.makedirs(path, exist_ok=True))

    def do(self, doing: str, work: Callable[[FileSystem], R]) -> R:
        """Up to three attempts at something.

        Raises:
            FileNotFoundError: What is asked for is not there.
            DestinationError: It cannot be done.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_after_delay(_LONG),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        with self._explained(doing):
            found: R = retrying(self._in_turn, work)
            return found

    def once(self, doing: str, work: Callable[[FileSystem], R]) -> R:
        """One attempt, at what cannot be repeated by itself."""
        with self._explained(doing):
            return self._in_turn(work)

    def _in_turn(self, work: Callable[[FileSystem], R]) -> R:
        with self._turn:
            return work(self._fs)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, DestinationError):
            raise
        except Exception as error:  # noqa: BLE001, what drivers raise has no base in common
            cause = None if self._address.is_told_by(error) else error
            raise refusal(doing, self._reason(error), getattr(error, "errno", None)) from cause

    def _reason(self, error: Exception) -> str:
        said = self._address.scrubbed(error)
        if isinstance(error, PermissionError) or type(error).__name__ in _FINAL_NAMES:
            return f"access is denied; check the credentials and storage_options ({said})"
        return said


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, _FINAL) and type(error).__name__ not in _FINAL_NAMES
