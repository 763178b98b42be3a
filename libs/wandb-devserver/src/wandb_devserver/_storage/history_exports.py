"""Table of exported parts of histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class StoredExport:
    """A Parquet file with the rows of the positions from `first` up to `end` (exclusive)."""

    id: int
    run_id: int
    first: int
    end: int
    blob: str


def put(connection: sqlite3.Connection, run_id: int, first: int, end: int, blob: str) -> None:
    connection.execute(
        'INSERT INTO history_exports (run_id, first, "end", blob) VALUES (?, ?, ?, ?)', (run_id, first, end, blob)
    )


def of_run(connection: sqlite3.Connection, run_id: int) -> list[StoredExport]:
    """Return the exports of a run in the order of their positions."""
    rows = connection.execute("SELECT * FROM history_exports WHERE run_id = ? ORDER BY first", (run_id,))
    return [StoredExport(**row) for row in rows]


def find(connection: sqlite3.Connection, export_id: int) -> StoredExport | None:
    row = connection.execute("SELECT * FROM history_exports WHERE id = ?", (export_id,)).fetchone()
    return StoredExport(**row) if row else None


def forget(connection: sqlite3.Connection, run_id: int, changed: int = 0) -> None:
    """Remove the exports of a run if one of them has rows from the position `changed` on, which have changed.

    Their blobs stay, without a record, until the server starts again.
    """
    ends = 'SELECT 1 FROM history_exports WHERE run_id = ? AND "end" > ?'
    if connection.execute(ends, (run_id, changed)).fetchone():
        connection.execute("DELETE FROM history_exports WHERE run_id = ?", (run_id,))
