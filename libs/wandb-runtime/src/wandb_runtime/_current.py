"""The run of the code that asks."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_runtime._task import current_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb import Run

    from wandb_runtime._plan import RunAddress


@dataclass(frozen=True)
class Current:
    """A run in force, and the Flyte action it is in force for."""

    run: Run | None
    address: RunAddress | None
    """None, as the run is, where this process of a distributed task does not log."""
    action: tuple[str, str] | None


# A context variable reaches threads, traces and, in local mode, child tasks. The action it was set for keeps it from
# the latter: an undecorated child sees no run, never its parent's.
_current: ContextVar[Current | None] = ContextVar("wandb_runtime_current", default=None)


def current() -> Current | None:
    """The run in force for the current action, or outside Flyte; None where there is none."""
    found = _current.get()
    return found if found is not None and found.action == _action() else None


@contextlib.contextmanager
def in_force(run: Run | None, address: RunAddress | None) -> Iterator[None]:
    """Makes a run the one of the code inside; None: the code inside has no run and opens none."""
    token = _current.set(Current(run, address, _action()))
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def none_in_force() -> Iterator[None]:
    """Lets the code inside find no run, so that decorated functions open one of their own."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def _action() -> tuple[str, str] | None:
    task = current_task()
    return task.key if task else None


def get_wandb_run() -> Run | None:
    """The W&B run of the current task, trace or decorated function.

    Returns:
        The run; None outside of them, in a task that is not decorated, and on a rank that does not log. Never
        somebody else's run.
    """
    found = current()
    return found.run if found else None


def get_wandb_run_dir() -> str | None:
    """The local directory of the run that `get_wandb_run` returns.

    Returns:
        `run.dir`: files written there stay local until `run.save()` sends them; None where there is no run.
    """
    found = current()
    return found.run.dir if found and found.run else None
