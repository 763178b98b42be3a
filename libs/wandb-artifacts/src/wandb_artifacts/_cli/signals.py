"""Ctrl-C and SIGTERM: cancel the work, let it clean up, then end the command."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar

from wandb_artifacts._cli.output import log

R = TypeVar("R")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOTICE_AFTER = 1.0
"""Seconds of clean-up after which a line states how to exit immediately."""


class Interrupted(SystemExit):
    """The process received SIGINT (Ctrl-C) or SIGTERM. Not a KeyboardInterrupt, because click handles that itself."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)
        self.signal_number = signal_number


def install_handlers() -> None:
    """Raise `Interrupted` on SIGINT and SIGTERM from now on."""

    def interrupt(signal_number: int, _: FrameType | None) -> None:
        raise Interrupted(signal_number)

    for number in _SIGNALS:
        signal.signal(number, interrupt)


def run(work: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run a coroutine; on a signal, cancel it and wait for its clean-up.

    Raises:
        Interrupted: The process received a signal. A second signal ends the process at once.
    """
    import asyncio

    found = asyncio.run(_cancel_on_signal(work))
    install_handlers()  # Removing the loop's handlers has restored the defaults.
    if isinstance(found, Interrupted):
        raise found
    return found


async def _cancel_on_signal(work: Callable[[], Coroutine[Any, Any, R]]) -> R | Interrupted:
    import asyncio

    loop, task, received = asyncio.get_running_loop(), asyncio.ensure_future(work()), list[int]()

    def cancel(number: int) -> None:
        if received:
            _exit_now(number)
        received.append(number)
        task.cancel()
        loop.call_later(_NOTICE_AFTER, log, "Stopping; press Ctrl-C again to exit immediately.")

    # Windows has no such handlers; there, `Interrupted` ends the loop.
    with contextlib.suppress(NotImplementedError):
        for number in _SIGNALS:
            loop.add_signal_handler(number, cancel, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        return Interrupted(received[0])
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def run_read_only(work: Callable[[], R]) -> R:
    """Run work that only reads, in a daemon thread: a signal ends the command without waiting for a large file."""
    found: Future[R] = Future()

    def read() -> None:
        try:
            found.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            found.set_exception(error)

    threading.Thread(target=read, name="wandb-artifacts-read", daemon=True).start()
    return found.result()


def _exit_now(number: int) -> None:
    """Exit without clean-up. Safe, because a partial file never has its final name."""
    if sys.stderr is not None and sys.stderr.isatty():
        log("\x1b[?25h")  # The progress bars have hidden the cursor.
    os._exit(128 + number)
