"""Tasks that the platform stops. Pods import this module."""

# ruff: noqa: T201, ASYNC110, ASYNC240 - each task runs in a separate process and prints its progress

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import flyte
from flyteplugins.wandb import wandb_init
from single import log

env = flyte.TaskEnvironment(name="stopping")


@contextlib.contextmanager
def cleaning_up() -> Iterator[None]:
    """Print and log in the `finally` block of a body."""
    try:
        yield
    finally:
        log(last=1)
        print("cleaned up")


def log_rows() -> None:
    for row in range(20):
        log(row=row)
    print("logged")


def log_and_wait() -> None:
    log_rows()
    time.sleep(600)


@wandb_init
@env.task
async def waiting() -> None:
    with cleaning_up():
        log_rows()
        await asyncio.sleep(600)


@wandb_init
@env.task
async def marking(mark: str) -> None:
    with cleaning_up():
        log_rows()
        Path(mark).touch()
        await asyncio.sleep(600)


@wandb_init
@env.task(timeout=timedelta(minutes=10))
async def too_slow() -> None:
    with cleaning_up():
        log_rows()
        await asyncio.sleep(600)


@wandb_init
@env.task
def computing() -> None:
    """Executes Python code regularly."""
    with cleaning_up():
        log_rows()
        while True:
            time.sleep(0.05)


@wandb_init
@env.task
async def delegating() -> None:
    """Waits for a thread that cannot be ended."""
    with cleaning_up():
        await asyncio.to_thread(log_and_wait)


@wandb_init
@env.task
def stuck() -> None:
    """Blocks in one call for longer than the grace period."""
    log_and_wait()


@wandb_init
@env.task
async def handling() -> None:
    """Handles SIGTERM itself."""

    def leave(*_: object) -> None:
        # Not by print, which raises if the signal interrupts another print.
        os.write(sys.stdout.fileno(), b"the user's handler\n")
        sys.exit(9)

    signal.signal(signal.SIGTERM, leave)
    with cleaning_up():
        log_rows()
        await asyncio.sleep(600)


@wandb_init
@env.task(retries=1)
async def evicted() -> int:
    """Waits only in its first attempt."""
    if flyte.ctx().attempt_number == 0:
        log_rows()
        await asyncio.sleep(600)
    log(row=20)
    return flyte.ctx().attempt_number


@env.task
async def cancelling(mark: str) -> str:
    """Cancels a child that has created its mark, and continues."""
    child = asyncio.ensure_future(marking(mark))
    while not Path(mark).exists():
        await asyncio.sleep(0.05)
    child.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await child
    return "done"
