"""Blocking work beside the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_CHUNKS_AT_ONCE = 32
_THREADS = 32
"""More than the loop's own executor has: an upload to an object store keeps a thread until its end."""


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="wandb-artifacts")


if hasattr(os, "register_at_fork"):
    # A forked process has the executor, but none of its threads.
    os.register_at_fork(after_in_child=_executor.cache_clear)


async def on_disk(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs something that blocks in a thread, and waits for its end even when cancelled.

    A file that a thread still writes to must not be closed or moved by who goes on.
    """
    future = asyncio.get_running_loop().run_in_executor(_executor(), partial(work, *args, **kwargs))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()
        raise


async def read_md5(chunks: Iterator[bytes]) -> tuple[int, bytes]:
    """The size and the MD5 digest of a file, a piece at a time: cancelling does not wait for the end of a large one."""
    digest, size = hashlib.md5(usedforsecurity=False), 0

    def read_on() -> bool:
        nonlocal size
        for count, chunk in enumerate(chunks, 1):
            digest.update(chunk)
            size += len(chunk)
            if count == _CHUNKS_AT_ONCE:
                return True
        return False

    while await on_disk(read_on):
        pass
    return size, digest.digest()
