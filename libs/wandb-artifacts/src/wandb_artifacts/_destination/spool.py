from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wandb_artifacts._destination.errors import explained

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Stat

_MAX_SUFFIX = 16


class SpooledPart:
    """A file on its way to a place that takes whole files only: until then in a private file of this machine.

    Args:
        path: The final name.
        upload: Sends a file of this machine, of so many bytes with this digest, to its final name.
    """

    def __init__(self, path: str, upload: Callable[[str, int, bytes], Stat]) -> None:
        self._upload = upload
        self._doing = f"keep {path} in {tempfile.gettempdir()} until it is uploaded (TMPDIR says where)"
        self._digest = hashlib.md5(usedforsecurity=False)
        self._size = 0
        # A store guesses the type of the contents by the extension. mkstemp makes it readable to its owner only.
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
                self._digest.update(left[:count])
                self._size += count
                left = left[count:]

    def restart(self) -> None:
        with explained(self._doing):
            os.ftruncate(self._opened(), 0)
            os.lseek(self._opened(), 0, os.SEEK_SET)
        self._digest = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def md5(self) -> bytes:
        return self._digest.digest()

    def commit(self) -> Stat:
        self._release()
        try:
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
