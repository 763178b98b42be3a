"""Samples of long streams, taken in one pass with bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


def sample(items: Iterable[T], size: int) -> list[T]:
    """Return at most `size` items, evenly spread, the first and (from two on) the last among them.

    All items come back when there are no more than that.
    """
    kept: list[T] = []
    stride, last = 1, None
    for index, item in enumerate(items):
        last = item
        if index % stride == 0:
            kept.append(item)
        if len(kept) > 2 * max(size, 1):
            kept, stride = kept[::2], stride * 2
    if stride > 1 and last is not None and kept[-1] is not last:
        kept.append(last)
    return _thinned(kept, size)


def _thinned(items: list[T], size: int) -> list[T]:
    if len(items) <= size:
        return items
    if size <= 1:
        return items[: max(size, 0)]
    step = (len(items) - 1) / (size - 1)
    return [items[round(index * step)] for index in range(size)]
