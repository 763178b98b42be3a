"""Tables of metric blocks and media positions: an index over the lines of a run, kept as they arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from wandb_devserver._json import loads_object
from wandb_devserver._storage.points import extract, leaves, pack, packed_count, reduce

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from wandb_devserver._json import JsonObject

MetricStream: TypeAlias = Literal["history", "events"]

BLOCK_SIZE = 256
"""Lines per block."""

BLOCK_POINTS = 8
"""Points that a block stores of each metric."""

_SUMMARIZED = ""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    key: str
    block: int
    count: int
    packed: bytes

    @property
    def is_reduced(self) -> bool:
        """Whether the block has more values than points."""
        return self.count > packed_count(self.packed)


@dataclass(frozen=True, slots=True)
class MediaKey:
    """A key under which a run logged values that are not numbers."""

    key: str
    type: str
    count: int


def index_lines(connection: sqlite3.Connection, run_id: int, stream: MetricStream, first: int, end: int) -> None:
    """Summarize the blocks that lines `first` to `end` (exclusive) complete or change."""
    total = _line_count(connection, run_id, stream)
    for block in range(first // BLOCK_SIZE, min((end - 1) // BLOCK_SIZE + 1, total // BLOCK_SIZE)):
        _summarize(connection, run_id, stream, block)


def index_media(connection: sqlite3.Connection, run_id: int, rows: Iterable[tuple[int, JsonObject]]) -> None:
    """Note the typed values (images, tables, histograms) of history rows, each given with its position."""
    connection.executemany(
        "INSERT INTO media_values VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET type = excluded.type",
        [
            (run_id, key, position, str(value["_type"]))
            for position, row in rows
            for key, value in leaves(row)
            if isinstance(value, dict)
        ],
    )


def clear(connection: sqlite3.Connection, run_id: int, stream: MetricStream) -> None:
    connection.execute("DELETE FROM metric_blocks WHERE run_id = ? AND stream = ?", (run_id, stream))
    if stream == "history":
        connection.execute("DELETE FROM media_values WHERE run_id = ?", (run_id,))


def key_counts(connection: sqlite3.Connection, run_id: int, stream: MetricStream) -> dict[str, int]:
    """Return how many values each metric has in the summarized blocks."""
    rows = connection.execute(
        "SELECT key, SUM(count) FROM metric_blocks WHERE run_id = ? AND stream = ? AND key <> ? GROUP BY key",
        (run_id, stream, _SUMMARIZED),
    )
    return dict(tuple(row) for row in rows)


def summarized(connection: sqlite3.Connection, run_id: int, stream: MetricStream) -> set[int]:
    """Return the blocks that were summarized; the lines of all others must be read."""
    rows = connection.execute(
        "SELECT block FROM metric_blocks WHERE run_id = ? AND stream = ? AND key = ?", (run_id, stream, _SUMMARIZED)
    )
    return {block for (block,) in rows}


def read(
    connection: sqlite3.Connection, run_id: int, stream: MetricStream, key: str, first: int, last: int
) -> list[StoredBlock]:
    """Return the blocks `first` to `last`, both included, that hold values of a metric."""
    rows = connection.execute(
        "SELECT block, count, points FROM metric_blocks "
        "WHERE run_id = ? AND stream = ? AND key = ? AND block BETWEEN ? AND ? ORDER BY block",
        (run_id, stream, key, first, last),
    )
    return [StoredBlock(key, *row) for row in rows]


def media_keys(connection: sqlite3.Connection, run_id: int) -> list[MediaKey]:
    rows = connection.execute(
        "SELECT key, MAX(type), COUNT(*) FROM media_values WHERE run_id = ? GROUP BY key ORDER BY key", (run_id,)
    )
    return [MediaKey(*row) for row in rows]


def media_positions(connection: sqlite3.Connection, run_id: int, key: str) -> list[int]:
    """Return where in the history a media key has values."""
    rows = connection.execute(
        "SELECT position FROM media_values WHERE run_id = ? AND key = ? ORDER BY position", (run_id, key)
    )
    return [position for (position,) in rows]


def _summarize(connection: sqlite3.Connection, run_id: int, stream: MetricStream, block: int) -> None:
    rows = connection.execute(
        "SELECT position, text FROM lines WHERE run_id = ? AND stream = ? AND position BETWEEN ? AND ? "
        "ORDER BY position",
        (run_id, stream, block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE - 1),
    )
    metrics = extract((row["position"], loads_object(row["text"])) for row in rows)
    metrics.pop(_SUMMARIZED, None)
    _forget(connection, run_id, stream, block)
    values = [(key, len(points), pack(reduce(points, BLOCK_POINTS))) for key, points in metrics.items()]
    connection.executemany(
        "INSERT INTO metric_blocks (run_id, stream, block, key, count, points) VALUES (?, ?, ?, ?, ?, ?)",
        [(run_id, stream, block, *value) for value in [(_SUMMARIZED, 0, b""), *values]],
    )


def _forget(connection: sqlite3.Connection, run_id: int, stream: MetricStream, block: int) -> None:
    # Blocks of all metrics lie between, so that a search for one is slow; few blocks are ever summarized twice.
    row = connection.execute(
        "SELECT 1 FROM metric_blocks WHERE run_id = ? AND stream = ? AND key = ? AND block = ?",
        (run_id, stream, _SUMMARIZED, block),
    )
    if row.fetchone():
        connection.execute(
            "DELETE FROM metric_blocks WHERE run_id = ? AND stream = ? AND block = ?", (run_id, stream, block)
        )


def _line_count(connection: sqlite3.Connection, run_id: int, stream: MetricStream) -> int:
    row = connection.execute("SELECT MAX(position) FROM lines WHERE run_id = ? AND stream = ?", (run_id, stream))
    (last,) = row.fetchone()
    return 0 if last is None else int(last) + 1
