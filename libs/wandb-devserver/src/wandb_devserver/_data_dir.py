"""Data directory of a server, readable by its owner only."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError
from wandb_devserver._settings import generate_api_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class DataDir:
    """A data directory.

    Raises:
        UsageError: if it cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.path / f".writable-{secrets.token_hex(8)}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            msg = f"data_dir {os.fspath(path)!r} cannot be written to ({error.strerror}): name a folder of your own"
            raise UsageError(msg) from error

    @property
    def database(self) -> Path:
        return self.path / "devserver.sqlite3"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    def api_key(self) -> str:
        """Return the directory's own API key."""
        return self._keep("api-key", generate_api_key)

    def signing_secret(self) -> bytes:
        """Return what upload links are signed with; it outlives the server so that they do."""
        return self._keep("signing-secret", lambda: secrets.token_hex(32)).encode()

    def _keep(self, name: str, make: Callable[[], str]) -> str:
        path = self.path / name
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(make() + "\n")
        return path.read_text(encoding="ascii").strip()
