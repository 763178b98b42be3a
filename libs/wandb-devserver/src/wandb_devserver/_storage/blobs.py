"""File contents on disk, under generated names: nothing a client sends becomes a path."""

from __future__ import annotations

import base64
import contextlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._domain.digests import MD5, new_hasher
from wandb_devserver._private_files import make_folder, private_opener

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path
    from types import TracebackType

    from wandb_devserver._domain.digests import Hasher


_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Blob:
    """Stored contents: its name in the store, size in bytes and the base64 of its digest."""

    name: str
    size: int
    digest: str
    """MD5, unless the contents of an artifact have another algorithm."""


class BlobStore:
    """A folder of immutable contents."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        make_folder(folder)
        make_folder(self._incoming)
        # Uploads that a previous server did not live to see the end of.
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def writer(self, algorithm: str = MD5) -> BlobWriter:
        return BlobWriter(self, self._incoming / secrets.token_hex(16), new_hasher(algorithm))

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def collect(self, named: set[str]) -> int:
        """Remove the contents that `named` does not list; return their number."""
        unnamed = [path for path in self._folder.glob("??/*") if _NAME.fullmatch(path.name) and path.name not in named]
        for path in unnamed:
            path.unlink()
        return len(unnamed)


class BlobWriter:
    """Contents that are still arriving: hashed on the way, in place only once complete."""

    def __init__(self, store: BlobStore, partial: Path, hasher: Hasher) -> None:
        self._store = store
        self._partial = partial
        self._stream = open(partial, "xb", opener=private_opener)  # noqa: SIM115 - closed by __exit__
        self._hasher = hasher
        self._size = 0

    def write(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        self._hasher.update(chunk)
        self._size += len(chunk)

    def commit(self) -> Blob:
        """Move the contents into the store."""
        self._stream.close()
        blob = Blob(self._partial.name, self._size, base64.b64encode(self._hasher.digest()).decode())
        target = self._store.path(blob.name)
        make_folder(target.parent)
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


def names(connection: sqlite3.Connection) -> set[str]:
    """Return the blobs that the records name: every column `blob` of every table does."""
    tables = connection.execute(
        "SELECT tables.name FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns "
        "WHERE tables.type = 'table' AND columns.name = 'blob'"
    )
    # The names of the tables come from this package's schema.
    queries = [f'SELECT blob FROM "{table}"' for (table,) in tables]  # noqa: S608
    return {name for query in queries for (name,) in connection.execute(query)}
