"""Process-wide lock between SDK sweep agents and run opening.

An agent of the SDK sets environment variables that `wandb.init` reads, and ends every run of the process before each
trial. So it holds the process exclusively, with the open runs hidden from it. Tasks in the same process, as in local
mode, open their runs before or after it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from wandb_runtime.lifecycle import open_runs
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.shutdown import EXIT_CODE, is_stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_logger = logging.getLogger("wandb_runtime")

# Seconds: how long a waiting thread may take to notice that the process is being stopped.
_POLL = 0.5

_changed = threading.Condition()
_owner: object | None = None
_openings = 0
_own_token: ContextVar[object | None] = ContextVar("wandb_runtime_exclusive", default=None)


def is_held() -> bool:
    """Whether some code holds the process exclusively."""
    return _owner is not None


def is_owner() -> bool:
    """Whether the current code is part of what holds the process exclusively."""
    return _owner is not None and _own_token.get() is _owner


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Hold the process exclusively, as soon as nothing else does, with its open runs hidden."""
    global _owner  # noqa: PLW0603
    owner = object()
    with _changed:
        _wait(lambda: _owner is None)
        _owner = owner
    token = _own_token.set(owner)
    try:
        with _changed:
            _wait(lambda: _openings == 0)
        with open_runs.hidden():
            yield
    finally:
        _own_token.reset(token)
        with _changed:
            _owner = None
            _changed.notify_all()


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Wait until nothing holds the process; held while settings are read from the environment and a run is opened."""
    global _openings  # noqa: PLW0603
    # Threads without Flyte's context may be part of the owner's work: they must not wait for the owner.
    if is_owner() or current_task() is None:
        yield
        return
    with _changed:
        if _owner is not None:
            _logger.warning(
                "Opening a W&B run or sweep waits until an SDK agent (wandb.agent) in the same process ends; "
                "run_sweep_agent does not block other tasks"
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
        if is_stopping():
            raise SystemExit(EXIT_CODE)
