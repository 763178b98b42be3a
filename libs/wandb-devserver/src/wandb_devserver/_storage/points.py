"""Points of metrics: extraction from rows, reduction that keeps minima and maxima, and packing for storage."""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from wandb_devserver._json import is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wandb_devserver._json import Json, JsonObject

Point: TypeAlias = "tuple[float, float, float]"
"""Step, timestamp (seconds since the epoch; NaN if the row has no timestamp) and value."""

_PACKED = struct.Struct("<ddd")


def leaves(row: JsonObject, prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Yield the values of a row by dotted key; a typed value such as an image is one value."""
    for key, value in row.items():
        if not prefix and key.startswith("_"):
            continue
        if isinstance(value, dict) and "_type" not in value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def extract(rows: Iterable[tuple[int, JsonObject]]) -> dict[str, list[Point]]:
    """Return the finite numbers of rows, each given with its position, by metric."""
    found: dict[str, list[Point]] = {}
    for position, row in rows:
        step, timestamp = row.get("_step"), row.get("_timestamp")
        x = step if is_number(step) else position
        moment = timestamp if is_number(timestamp) else math.nan
        for key, value in leaves(row):
            if is_number(value):
                found.setdefault(key, []).append((x, moment, value))
    return found


def reduce(points: list[Point], size: int) -> list[Point]:
    """Return at most `size` points: the first, the last, and each bucket's lowest and highest in their order."""
    if len(points) <= size:
        return points
    inner = points[1:-1]
    buckets = max((size - 2) // 2, 1)
    bounds = [len(inner) * index // buckets for index in range(buckets + 1)]
    kept = [points[0]]
    for start, end in pairwise(bounds):
        kept.extend(_extremes(inner[start:end]))
    return [*kept, points[-1]]


def _extremes(points: list[Point]) -> list[Point]:
    values = [value for _, _, value in points]
    low, high = values.index(min(values)), values.index(max(values))
    return [points[index] for index in sorted({low, high})]


def pack(points: Iterable[Point]) -> bytes:
    """Return points as bytes: a long run has tens of thousands of them, and JSON takes ten times as long to read."""
    return b"".join(_PACKED.pack(*point) for point in points)


def unpack(packed: bytes) -> Iterator[Point]:
    return _PACKED.iter_unpack(packed)


def packed_count(packed: bytes) -> int:
    """Return how many points `packed` holds."""
    return len(packed) // _PACKED.size
