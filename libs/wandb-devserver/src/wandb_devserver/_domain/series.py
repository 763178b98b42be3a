"""Series of metrics for charts: split by metric before they are reduced, so that rare metrics stay whole."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from wandb_devserver._json import loads_object
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import metrics as metric_table
from wandb_devserver._storage.metrics import BLOCK_SIZE
from wandb_devserver._storage.points import Point, extract, reduce, unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from wandb_devserver._storage.metrics import MetricStream, StoredBlock

_RAW_BLOCKS = 16
"""Ranges of so many blocks are read line by line, and show every value."""

_SPARSE_BLOCKS = 128
"""Blocks that are read line by line at most, to show every value of rare metrics."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one metric, and how many values they stand for."""

    count: int
    points: list[Point]


@dataclass(frozen=True, slots=True)
class StepRange:
    """Steps that a chart shows, both included."""

    first: float
    last: float


def metric_counts(connection: sqlite3.Connection, run_id: int, stream: MetricStream) -> dict[str, int]:
    """Return each metric of a run and how many values it has."""
    counts = metric_table.key_counts(connection, run_id, stream)
    known = metric_table.summarized(connection, run_id, stream)
    missing = (block for block in range(_block_count(connection, run_id, stream)) if block not in known)
    for key, points in _read_lines(connection, run_id, stream, missing).items():
        counts[key] = counts.get(key, 0) + len(points)
    return dict(sorted(counts.items()))


def read_series(
    connection: sqlite3.Connection,
    run_id: int,
    stream: MetricStream,
    keys: list[str],
    *,
    size: int,
    steps: StepRange | None = None,
) -> dict[str, Series]:
    """Return at most `size` points of each metric, all of them where it has no more than that."""
    first, last = _blocks_of(connection, run_id, stream, steps)
    if last - first < _RAW_BLOCKS:
        lines = _read_lines(connection, run_id, stream, range(first, last + 1))
        return {key: _series(lines.get(key, []), None, size, steps) for key in keys}
    known = metric_table.summarized(connection, run_id, stream)
    missing = {block for block in range(first, last + 1) if block not in known}
    blocks = {key: metric_table.read(connection, run_id, stream, key, first, last) for key in keys}
    sparse = _sparse_blocks(blocks.values(), size)
    lines = _read_lines(connection, run_id, stream, sorted(missing | sparse))
    return {key: _merge(found, lines.get(key, []), missing | sparse, size, steps) for key, found in blocks.items()}


def _sparse_blocks(blocks: Iterable[list[StoredBlock]], size: int) -> set[int]:
    """Return the reduced blocks of metrics that are short enough to be shown whole."""
    wanted: set[int] = set()
    for found in blocks:
        if sum(block.count for block in found) <= size:
            wanted.update(block.block for block in found if block.is_reduced)
    return wanted if len(wanted) <= _SPARSE_BLOCKS else set()


def _merge(blocks: list[StoredBlock], lines: list[Point], read: set[int], size: int, steps: StepRange | None) -> Series:
    kept = [block for block in blocks if block.block not in read]
    points = sorted([*unpack(b"".join(block.packed for block in kept)), *lines], key=itemgetter(0))
    return _series(points, sum(block.count for block in kept) + len(lines), size, steps)


def _series(points: list[Point], count: int | None, size: int, steps: StepRange | None) -> Series:
    if steps:
        points = [point for point in points if steps.first <= point[0] <= steps.last]
    return Series(len(points) if count is None else count, reduce(points, size))


def _read_lines(
    connection: sqlite3.Connection, run_id: int, stream: MetricStream, blocks: Iterable[int]
) -> dict[str, list[Point]]:
    return extract(
        (position, loads_object(text))
        for block in blocks
        for position, text in line_table.read(
            connection, run_id, stream, first=block * BLOCK_SIZE, before=(block + 1) * BLOCK_SIZE
        )
    )


def _blocks_of(
    connection: sqlite3.Connection, run_id: int, stream: MetricStream, steps: StepRange | None
) -> tuple[int, int]:
    """Return the first and the last block that may hold values of these steps."""
    end = max(_block_count(connection, run_id, stream) - 1, 0)
    if steps is None or stream != "history":
        return 0, end
    found = line_table.positions_of_steps(connection, run_id, steps.first, steps.last)
    return (0, -1) if found is None else (found[0] // BLOCK_SIZE, found[1] // BLOCK_SIZE)


def _block_count(connection: sqlite3.Connection, run_id: int, stream: MetricStream) -> int:
    return -(-line_table.count(connection, run_id, stream) // BLOCK_SIZE)
