"""Table of run files."""

from __future__ import annotations

import json
import mimetypes
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._storage.blobs import Blob


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: int
    run_id: int
    name: str
    blob: str
    size: int
    md5: str
    mimetype: str
    updated_at: float


def put(connection: sqlite3.Connection, run_id: int, name: str, blob: Blob) -> str | None:
    """Make `blob` the contents of a file; return the name of the blob it replaces, if any."""
    previous = find(connection, run_id, name)
    connection.execute(
        "INSERT INTO files (run_id, name, blob, size, md5, mimetype, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET blob = excluded.blob, size = excluded.size, md5 = excluded.md5, "
        "updated_at = excluded.updated_at",
        (run_id, name, blob.name, blob.size, blob.digest, _mimetype(name), time.time()),
    )
    return previous.blob if previous else None


def find(connection: sqlite3.Connection, run_id: int, name: str) -> StoredFile | None:
    row = connection.execute("SELECT * FROM files WHERE run_id = ? AND name = ?", (run_id, name)).fetchone()
    return StoredFile(**row) if row else None


def find_by_id(connection: sqlite3.Connection, file_id: int) -> StoredFile | None:
    row = connection.execute("SELECT * FROM files WHERE id = ?", (file_id,)).fetchone()
    return StoredFile(**row) if row else None


def page(
    connection: sqlite3.Connection,
    run_id: int,
    *,
    names: list[str] | None = None,
    pattern: str | None = None,
    after: int = 0,
    limit: int = -1,
) -> list[StoredFile]:
    """Return the run's files, oldest first, after the id `after`.

    Args:
        connection: any connection.
        run_id: whose files.
        names: exact names to keep; all when empty.
        pattern: an SQL LIKE pattern that names must match.
        after: where the previous page ended.
        limit: how many at most; -1 for all.
    """
    rows = connection.execute(
        "SELECT * FROM files WHERE run_id = :run AND id > :after "
        "AND (:names IS NULL OR name IN (SELECT value FROM json_each(:names))) "
        "AND (:pattern IS NULL OR name LIKE :pattern) ORDER BY id LIMIT :limit",
        {
            "run": run_id,
            "after": after,
            "names": json.dumps(names) if names else None,
            "pattern": pattern or None,
            "limit": limit,
        },
    )
    return [StoredFile(**row) for row in rows]


def count(connection: sqlite3.Connection, run_id: int) -> int:
    (total,) = connection.execute("SELECT COUNT(*) FROM files WHERE run_id = ?", (run_id,)).fetchone()
    return int(total)


def missing(run_id: int, name: str) -> StoredFile:
    """Return what stands for a file that was requested by name and does not exist."""
    return StoredFile(id=0, run_id=run_id, name=name, blob="", size=0, md5="0", mimetype=_mimetype(name), updated_at=0)


def delete(connection: sqlite3.Connection, file: StoredFile) -> None:
    connection.execute("DELETE FROM files WHERE id = ?", (file.id,))


def _mimetype(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
