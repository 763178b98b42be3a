"""Partial files on this machine: beside a local destination, or in the temporary folder for a remote one."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from wandb_artifacts._destination.base import Stat
from wandb_artifacts._destination.digests import Algorithm, Digests
from wandb_artifacts._destination.errors import explained, refusal
from wandb_artifacts._destination.no_follow import Folder, open_folder
from wandb_artifacts._destination.safe_names import WORK_FOLDER
from wandb_artifacts._errors import DestinationError

PIECE = 1024 * 1024


class LocalPart:
    """A partial file in the folder of parts of a local destination.

    Args:
        root: The folder of the download.
        path: The final name, below `root`.
        key: Identifies the expected contents.
        algorithm: The algorithm of `digest`.
    """

    def __init__(self, root: Path, path: str, key: str, algorithm: Algorithm = "md5") -> None:
        self._root = root
        self._path = path
        self._key = key
        digest = hashlib.sha256(f"{path}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
        self._name = f"{digest[:40]}.part"
        self._algorithm = algorithm
        self._digests = Digests(algorithm)
        self._size = 0
        self._fd: int | None = None
        with self._explained(), self._parts() as parts:
            self._fd = self._open(parts)

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        with self._explained():
            while left:
                count = os.write(self._opened(), left)
                self._digests.update(left[:count])
                self._size += count
                left = left[count:]

    def restart(self) -> None:
        with self._explained():
            fd = self._opened()
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
        self._digests = Digests(self._algorithm)
        self._size = 0

    def md5(self) -> bytes:
        return self._digests.md5

    def digest(self) -> bytes:
        return self._digests.digest

    def reader(self) -> BinaryIO:
        with self._explained():
            return _reader(self._opened())

    def commit(self) -> Stat:
        *folders, name = self._path.split("/")
        with self._explained():
            written = os.fstat(self._opened())
            self._release()
            with self._parts() as parts, open_folder(self._root, folders, make=True) as folder:
                found = parts.stat(self._name)
                self._check(written, found)
                parts.replace(self._name, folder, name)
        self._key = ""
        return stat_of(found)

    def _check(self, written: os.stat_result, found: os.stat_result) -> None:
        """Check that the file is the one that was written, and has what the digest has seen."""
        if (written.st_dev, written.st_ino) != (found.st_dev, found.st_ino) or found.st_size != self._size:
            self.discard()  # Such a part is not resumed.
            doing = f"write {self._root / self._path}"
            raise _changed(doing, found.st_size, self._size)

    def close(self) -> None:
        if self._fd is None:
            return
        if not (self._key and self._size):
            self.discard()
            return
        with self._explained():
            self._release()

    def discard(self) -> None:
        with self._explained():
            self._release()
            with suppress(FileNotFoundError), self._parts() as parts:
                parts.remove(self._name)

    def _open(self, parts: Folder) -> int:
        if self._key and (fd := self._left(parts)) is not None:
            return fd
        with suppress(FileNotFoundError):
            parts.remove(self._name)
        return parts.open(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def _left(self, parts: Folder) -> int | None:
        """Open the part of an interrupted call, and read it to its end. Ignores links and other types of files."""
        try:
            fd = parts.open(self._name, os.O_RDWR)
        except OSError:
            return None
        try:
            found = os.fstat(fd)
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                while piece := os.read(fd, PIECE):
                    self._digests.update(piece)
                    self._size += len(piece)
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None

    def _opened(self) -> int:
        if self._fd is None:
            msg = f"the part of {self._path} is closed"
            raise ValueError(msg)
        return self._fd

    def _release(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    @contextmanager
    def _parts(self) -> Iterator[Folder]:
        with open_folder(self._root, [WORK_FOLDER], make=True) as folder:
            yield folder

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with explained(f"write {self._root / self._path}"):
            yield


def _reader(fd: int) -> BinaryIO:
    file = os.fdopen(os.dup(fd), "rb", buffering=0)
    file.seek(0)
    return file


def stat_of(found: os.stat_result) -> Stat:
    return Stat(found.st_size, f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}")


def _changed(doing: str, size: int, expected: int) -> DestinationError:
    reason = f"the partial file has {size} bytes, and {expected} were written; do not change it during a download"
    return refusal(doing, reason)


_MAX_SUFFIX = 16


class SpooledPart:
    """A partial file in the temporary folder, for destinations that accept only complete files.

    Args:
        path: The final name.
        upload: Uploads a local file to its final name. Called with its path, size and MD5 digest.
        algorithm: The algorithm of `digest`.
    """

    def __init__(self, path: str, upload: Callable[[str, int, bytes], Stat], algorithm: Algorithm = "md5") -> None:
        self._upload = upload
        self._doing = f"keep {path} in {tempfile.gettempdir()} until it is uploaded (set TMPDIR to use another folder)"
        self._algorithm = algorithm
        self._digests = Digests(algorithm)
        self._size = 0
        # Stores guess the content type from the extension. mkstemp makes the file readable by its owner only.
        suffix = PurePosixPath(path).suffix
        with explained(self._doing):
            fd, name = tempfile.mkstemp(prefix="wandb-artifacts-", suffix=suffix if len(suffix) <= _MAX_SUFFIX else "")
        self._fd: int | None = fd
        self._file = Path(name)

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        with explained(self._doing):
            while left:
                count = os.write(self._opened(), left)
                self._digests.update(left[:count])
                self._size += count
                left = left[count:]

    def restart(self) -> None:
        with explained(self._doing):
            os.ftruncate(self._opened(), 0)
            os.lseek(self._opened(), 0, os.SEEK_SET)
        self._digests = Digests(self._algorithm)
        self._size = 0

    def md5(self) -> bytes:
        return self._digests.md5

    def digest(self) -> bytes:
        return self._digests.digest

    def reader(self) -> BinaryIO:
        with explained(self._doing):
            return _reader(self._opened())

    def commit(self) -> Stat:
        try:
            with explained(self._doing):
                size = os.fstat(self._opened()).st_size
            if size != self._size:
                raise _changed(self._doing, size, self._size)
            self._release()
            return self._upload(str(self._file), self._size, self.md5())
        finally:
            self.discard()

    def close(self) -> None:
        self.discard()

    def discard(self) -> None:
        self._release()
        with explained(self._doing):
            self._file.unlink(missing_ok=True)

    def _opened(self) -> int:
        if self._fd is None:
            msg = "the part is closed"
            raise ValueError(msg)
        return self._fd

    def _release(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            with explained(self._doing):
                os.close(fd)
