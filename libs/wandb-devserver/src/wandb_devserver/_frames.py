"""A call that keeps the frames of the calls below it in one piece of memory.

CPython has the frames of a thread in chunks of 16 KB. Each time that calls cross the end of a chunk, it allocates the
next one and frees it again (python/cpython#142183, changed in 2026 for 3.13 and later). The execution of a query
crosses an end for every field of a list deep in the query: half of the time of a page of runs with their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

_SLOTS = 4_200
"""Of 8 bytes: CPython chooses a chunk of 64 KB for such a frame, and 30 KB of it are left for the calls below."""


def call_in_one_chunk(function: Callable[[], R]) -> R:
    """Call a function with room for the frames of the calls that it makes."""
    return function()


call_in_one_chunk.__code__ = call_in_one_chunk.__code__.replace(co_stacksize=_SLOTS)
