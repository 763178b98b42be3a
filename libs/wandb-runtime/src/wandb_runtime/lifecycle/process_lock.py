"""One piece of code that takes wandb's state of the whole process for itself: a sweep agent of the SDK.

It sets variables that `wandb.init` reads, and ends every run of the process before each trial. So the runs that are
open are set aside, and tasks that run beside it in the same process, as those of local mode do, open theirs before or
after it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from wandb_runtime import _open_runs, _stopping
from wandb_runtime._task import current_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_logger = logging.getLogger("wandb_runtime")

# Seconds: how long a thread that waits may take to learn that the process is being stopped.
_POLL = 0.5

_changed = threading.Condition()
_owner: object | None = None
_openings = 0
_mine: ContextVar[object | None] = ContextVar("wandb_runtime_exclusive", default=None)


def is_taken() -> bool:
    """Whether some code has taken the process."""
    return _owner is not None


def is_mine() -> bool:
    """Whether the current code is part of what has taken the process."""
    return _owner is not None and _mine.get() is _owner


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Takes the process, when nobody else has it, and sets the runs that are open in it aside."""
    global _owner  # noqa: PLW0603
    me = object()
    with _changed:
        _wait(lambda: _owner is None)
        _owner = me
    token = _mine.set(me)
    try:
        with _changed:
            _wait(lambda: _openings == 0)
        with _open_runs.set_aside():
            yield
    finally:
        _mine.reset(token)
        with _changed:
            _owner = None
            _changed.notify_all()


@contextlib.contextmanager
def opening() -> Iterator[None]:
    """For the time in which a task asks the environment for settings, and opens a run by them."""
    global _openings  # noqa: PLW0603
    # Of threads that Flyte's context does not reach it cannot be told whether they are part of the owner's work.
    if is_mine() or current_task() is None:
        yield
        return
    with _changed:
        if _owner is not None:
            _logger.warning(
                "A task waits with its W&B run or sweep for the end of an agent of the SDK (wandb.agent) in the same "
                "process; run_sweep_agent lets others go on"
            )
            _wait(lambda: _owner is None)
        _openings += 1
    try:
        yield
    finally:
        with _changed:
            _openings -= 1
            _changed.notify_all()


def _wait(until: Callable[[], bool]) -> None:
    while not until():
        _changed.wait(_POLL)
        if _stopping.is_stopping():
            raise SystemExit(_stopping.EXIT_CODE)
