"""Blocking calls in threads, awaited without leaving them running behind."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def to_thread(call: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
    """Run a blocking call in a thread, and never leave it running behind.

    A thread cannot be cancelled: a cancellation that arrives meanwhile is raised when the call has returned.

    Args:
        call: Blocks.
        undo: Called, in a thread too, with the result of a call that was cancelled.
    """
    running = asyncio.wrap_future(submit(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _outlast(running)
        if undo is not None and running.exception() is None:
            result = running.result()
            await _outlast(asyncio.wrap_future(submit(lambda: undo(result))))
        raise


async def until_cancelled(call: Callable[[], T]) -> T:
    """Run a call that waits for another machine in a thread. When cancelled, return at once and leave it to itself."""
    running = asyncio.wrap_future(submit(call))
    # An error that nobody awaits any more is not worth a log line.
    running.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(running)


def submit(call: Callable[[], T]) -> Future[T]:
    """Run a call in a new thread, which the process does not wait for.

    The default executor may be full of the user's work, and is shut down before tasks end.
    """
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            outcome.set_exception(error)

    threading.Thread(target=run, name="wandb-runtime", daemon=True).start()
    return outcome


async def _outlast(running: asyncio.Future[T]) -> None:
    """Wait until a call is done, although the waiting task is cancelled again."""
    while not running.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([running])
