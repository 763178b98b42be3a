"""Data directory of a server: private, and used by one server at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError
from wandb_devserver._private_files import private_opener, write_atomically
from wandb_devserver._settings import check_api_key, generate_api_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECRET_BYTES = 32


class DataDir:
    """A data directory, locked until `close`.

    Raises:
        UsageError: if it cannot be created or written to, if others can write to it, or if another server uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_foreign_writers(self.path)
            self._lock = _acquire_lock(self.path)
        except OSError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Let another server use the directory."""
        # Unlocked explicitly: a process forked meanwhile shares the descriptor, and would keep the lock.
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        os.close(self._lock)

    @property
    def database(self) -> Path:
        return self.path / "devserver.sqlite3"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    def api_key(self) -> str:
        """Return the directory's own API key, generated on first use.

        Raises:
            UsageError: if the stored key is damaged or cannot be written.
        """
        return self._load_or_create("api-key", generate_api_key, check_api_key)

    def signing_secret(self) -> bytes:
        """Return the secret that signs upload URLs; it is stored, so that they stay valid across restarts.

        Raises:
            UsageError: if the stored secret is damaged or cannot be written.
        """
        return self._load_or_create("signing-secret", lambda: secrets.token_hex(_SECRET_BYTES), _check_secret).encode()

    def _load_or_create(self, name: str, create: Callable[[], str], check: Callable[[str], str]) -> str:
        path = self.path / name
        try:
            if not path.exists():
                write_atomically(path, create() + "\n")
            with open(path, encoding="ascii", opener=private_opener) as stream:
                return check(stream.read().strip())
        except OSError as error:
            raise self._unusable(error) from error
        except ValueError as error:
            size = path.stat().st_size
            msg = (
                f"data_dir {os.fspath(self.path)!r} holds a damaged file {name!r} ({size} bytes, {error}): restore it, "
                "or delete it and the next start generates a new one"
            )
            raise UsageError(msg) from None

    def _unusable(self, error: OSError) -> UsageError:
        path, reason = os.fspath(self.path), error.strerror or error
        return UsageError(f"data_dir {path!r} cannot be written to ({reason}): use another folder")


def _check_secret(text: str) -> str:
    if not re.fullmatch(rf"[0-9a-f]{{{2 * _SECRET_BYTES}}}", text):
        msg = f"not {2 * _SECRET_BYTES} hexadecimal digits"
        raise ValueError(msg)
    return text


def _refuse_foreign_writers(path: Path) -> None:
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()):
        msg = f"data_dir {os.fspath(path)!r} belongs to the user with the id {status.st_uid}: use another folder"
        raise UsageError(msg)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(status.st_mode)
        msg = f"data_dir {os.fspath(path)!r} can be written to by others (mode {mode:o}): run chmod go-w on it"
        raise UsageError(msg)


def _acquire_lock(folder: Path) -> int:
    descriptor = private_opener(folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        msg = (
            f"data_dir {os.fspath(folder)!r} is used by another server (process {owner or 'unknown'}): "
            "stop it, or use another folder"
        )
        raise UsageError(msg) from None
    return descriptor
