"""Destinations on this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from wandb_artifacts._destination.base import Stat
from wandb_artifacts._destination.errors import explained, refusal
from wandb_artifacts._destination.no_follow import Folder, open_folder
from wandb_artifacts._destination.part_file import PIECE, LocalPart, stat_of
from wandb_artifacts._destination.safe_names import WORK_FOLDER
from wandb_artifacts._errors import DestinationError

if TYPE_CHECKING:
    from wandb_artifacts._destination.digests import Algorithm

_LOCK = "lock"
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENAMETOOLONG})


class LocalTarget:
    """A folder of this machine.

    Partial files are in `.wandb-artifacts` in the root, on the same file system as the complete files.

    Args:
        root: The folder that the user passed; the only component of a path that may be a link.
        folder: The folder in it that paths are relative to, with '/'.
    """

    def __init__(self, root: Path, folder: str = "") -> None:
        self._root = root
        self._folder = folder
        self._is_tidy = False

    @cached_property
    def url(self) -> str:
        return str(self._root / self._folder)

    def prepare(self) -> None:
        with explained(f"make the folder {self.url}"):
            self._root.mkdir(parents=True, exist_ok=True)
            with open_folder(self._root, self._folder.split("/") if self._folder else [], make=True):
                pass
            if not os.access(self._root, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def lock(self) -> AbstractContextManager[None]:
        return self._locked()

    def within(self, folder: str) -> LocalTarget:
        return LocalTarget(self._root, self._full(folder))

    def part(self, path: str, key: str = "", algorithm: Algorithm = "md5") -> LocalPart:
        return LocalPart(self._root, self._full(path), key, algorithm)

    def read(self, path: str) -> bytes | None:
        try:
            return b"".join(self.chunks(path))
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> Stat:
        part = self.part(path)
        try:
            part.write(data)
            return part.commit()
        finally:
            part.close()

    def chunks(self, path: str) -> Iterator[bytes]:
        fd = self._open(path)
        try:
            with explained(f"read {self._root / self._full(path)}"):
                while piece := os.read(fd, PIECE):
                    yield piece
        finally:
            os.close(fd)

    def stat(self, path: str) -> Stat | None:
        return self.stats([path]).get(path)

    def stats(self, paths: Iterable[str]) -> dict[str, Stat]:
        siblings: dict[str, list[str]] = {}
        for path in paths:
            siblings.setdefault(path.rpartition("/")[0], []).append(path)
        found: dict[str, Stat] = {}
        for together in siblings.values():
            # Opening a folder takes longer than the rest, so it is opened once for all its files.
            with suppress(FileNotFoundError), self._parent(together[0]) as (folder, _):
                stats = ((path, _stat_of(folder, path.rpartition("/")[2])) for path in together)
                found.update((path, stat) for path, stat in stats if stat)
        return found

    def tidy(self) -> None:
        if self._folder:
            return
        self._is_tidy = True
        # A file that cannot be removed does no harm.
        with suppress(OSError), open_folder(self._root, [WORK_FOLDER]) as folder:
            for name in folder.names():
                if name != _LOCK:
                    with suppress(OSError):
                        folder.remove(name)
        self._remove_work_folder()

    def paths(self) -> list[str]:
        top = self._root / self._folder
        found: list[str] = []
        for parent, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name != WORK_FOLDER]
            files = (Path(parent, name) for name in names)
            found += [file.relative_to(top).as_posix() for file in files if file.is_file() and not file.is_symlink()]
        return sorted(found)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._is_tidy = False
        work = self._root / self._folder / WORK_FOLDER
        with explained(f"lock {self.url}"):
            with open_folder(self._root, [*filter(None, self._folder.split("/")), WORK_FOLDER], make=True):
                pass
            # One thread may release what another has acquired.
            lock = FileLock(work / _LOCK, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                doing, reason = f"download to {self.url}", "another download is using it; wait until it has ended"
                raise refusal(doing, reason, errno.EAGAIN) from None
        try:
            yield
        finally:
            # Removed while it is held, so that no other process can have acquired it.
            self._remove_lock(work)
            lock.release()
            self._remove_lock(work, only_on="nt")
            self._remove_work_folder()

    def _remove_lock(self, work: Path, *, only_on: str = os.name) -> None:
        if self._is_tidy and os.name == only_on:
            with suppress(OSError):
                (work / _LOCK).unlink()

    def _remove_work_folder(self) -> None:
        if self._is_tidy:
            with suppress(OSError):
                (self._root / self._folder / WORK_FOLDER).rmdir()

    def _open(self, path: str) -> int:
        with self._parent(path) as (folder, name):
            fd = folder.open(name, os.O_RDONLY)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[Folder, str]]:
        """Open the folder of a file to read it. A path through a link counts as missing."""
        *folders, name = self._full(path).split("/")
        try:
            with explained(f"read {self._root}{os.sep}{self._full(path)}"), open_folder(self._root, folders) as folder:
                yield folder, name
        except (DestinationError, UnicodeEncodeError) as error:
            if isinstance(error, DestinationError) and error.errno not in _ABSENT:
                raise
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def _full(self, path: str) -> str:
        return f"{self._folder}/{path}" if self._folder else path


def _stat_of(folder: Folder, name: str) -> Stat | None:
    try:
        found = folder.stat(name)
    except UnicodeEncodeError:
        return None
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None
    return stat_of(found) if stat.S_ISREG(found.st_mode) else None
