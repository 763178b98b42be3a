"""Ctrl-C and SIGTERM: what runs is cancelled and cleans up, and then the command ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar

from wandb_artifacts._cli.output import say

R = TypeVar("R")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 1.0
"""Seconds until it is said that the end takes a while."""


class Stopped(SystemExit):
    """The process was told to stop: Ctrl-C or SIGTERM. Not a KeyboardInterrupt, of which click makes its own affair."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def heed_signals() -> None:
    """From here on, what stops the process is a `Stopped`."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    for number in _SIGNALS:
        signal.signal(number, stop)


def run(work: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Runs a coroutine to its end, or until the process is told to stop: then it is cancelled, and tidies up.

    Raises:
        Stopped: The process was told to stop. Told a second time, it ends on the spot.
    """
    found = asyncio.run(_heeding(work))
    heed_signals()  # The loop has left its own handlers' defaults.
    if isinstance(found, Stopped):
        raise found
    return found


async def _heeding(work: Callable[[], Coroutine[Any, Any, R]]) -> R | Stopped:
    loop, task, told = asyncio.get_running_loop(), asyncio.ensure_future(work()), list[int]()

    def stop(number: int) -> None:
        if told:
            _end_now(number)
        told.append(number)
        task.cancel()
        loop.call_later(_PATIENCE, say, "Stopping; once more ends it on the spot.")

    # Windows has no such handlers; there, the exception ends the loop.
    with contextlib.suppress(NotImplementedError):
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not told:
            raise
        return Stopped(told[0])
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def read(work: Callable[[], R]) -> R:
    """Runs what only reads. Told to stop, nobody waits for it: it may be in the midst of a large file."""
    found: Future[R] = Future()

    def reading() -> None:
        try:
            found.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            found.set_exception(error)

    threading.Thread(target=reading, name="wandb-artifacts-read", daemon=True).start()
    return found.result()


def _end_now(number: int) -> None:
    """No half file has a final name at any moment, so this is safe, and disks that hang do not matter."""
    if sys.stderr is not None and sys.stderr.isatty():
        say("\x1b[?25h")  # The bars have hidden the cursor.
    os._exit(128 + number)
