"""Files and folders that only their owner can read, whatever the umask."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


def make_folder(path: Path) -> None:
    """Create `path`, or take the rights of others from it."""
    path.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
    path.chmod(_FOLDER_MODE)


def private_opener(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file for `open(..., opener=private_opener)`; new or old, nobody else may read it."""
    descriptor = os.open(path, flags, _FILE_MODE)
    os.fchmod(descriptor, _FILE_MODE)
    return descriptor


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is either absent or complete, also after a crash or on a full disk."""
    partial = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with open(partial, "x", encoding="ascii", opener=private_opener) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
