"""The run of the code that asks."""

from __future__ import annotations

import contextlib
import sys
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


@dataclass(frozen=True)
class _Trial:
    """Code that has `wandb.run` for itself, and the Flyte action it is part of."""

    action: tuple[str, str] | None


_trial: ContextVar[_Trial | None] = ContextVar("wandb_runtime_trial", default=None)


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
def in_trial() -> Iterator[None]:
    """Lets the code inside, a sweep's objective, find the run that it opens by `wandb.init`, and no other.

    Decorated functions open one of their own. To be used where `wandb.run` is the objective's alone.
    """
    token, trial = _current.set(None), _trial.set(_Trial(_action()))
    try:
        yield
    finally:
        _trial.reset(trial)
        _current.reset(token)


def _action() -> tuple[str, str] | None:
    task = current_task()
    return task.key if task else None


def get_wandb_run() -> Run | None:
    """The W&B run of the current task, trace or decorated function; in a sweep's objective, that of the trial.

    Returns:
        The run; None outside of them, in a task that is not decorated, on a rank that does not log, and in an
        objective that has not called `wandb.init` yet. Never somebody else's run.
    """
    found = current()
    if found is not None:
        return found.run
    trial = _trial.get()
    if trial is None or trial.action != _action():
        return None
    # Without importing wandb: who has opened a run has done that.
    run: Run | None = getattr(sys.modules.get("wandb"), "run", None)
    return run


def get_wandb_run_dir() -> str | None:
    """The local directory of the run that `get_wandb_run` returns.

    Returns:
        `run.dir`: files written there stay local until `run.save()` sends them; None where there is no run.
    """
    run = get_wandb_run()
    return run.dir if run is not None else None
