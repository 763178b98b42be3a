from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def off_loop(call: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
    """Runs a blocking call in a thread, and never leaves it running behind.

    A thread cannot be cancelled: a cancellation that arrives meanwhile is raised when the call has returned.

    Args:
        call: What blocks.
        undo: Called, in a thread too, with what a cancelled call has returned.
    """
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _outlast(running)
        if undo is not None and running.exception() is None:
            await _outlast(asyncio.ensure_future(asyncio.to_thread(undo, running.result())))
        raise


async def _outlast(running: asyncio.Future[T]) -> None:
    """Waits until it is done, although the waiting task is cancelled again."""
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([running])
