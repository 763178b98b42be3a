"""Calls at the end of a chunk of CPython's frames."""

from __future__ import annotations

import resource
from functools import partial

import pytest
from wandb_devserver._frames import call_in_one_chunk

_CALLS = 1_000


def page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt


def faults_of_calls(depth: int) -> int:
    """Page faults of calls that are made so deep; where they cross the end of a chunk, each call has at least one."""
    if depth:
        return faults_of_calls(depth - 1)
    before = page_faults()
    for _ in range(_CALLS):
        leaf()
    return page_faults() - before


def leaf() -> None:
    pass


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_THREAD"), reason="page faults of one thread are counted on Linux")
def test_calls_below_allocate_no_memory_at_any_depth() -> None:
    faults = [call_in_one_chunk(partial(faults_of_calls, depth)) for depth in range(150)]

    assert max(faults) < _CALLS / 2
