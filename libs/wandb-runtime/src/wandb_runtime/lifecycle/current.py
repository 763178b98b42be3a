"""The current task's run: a context variable."""

from __future__ import annotations

import contextlib
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_runtime.tasks.action import current_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb import Run
    from wandb_artifacts.client import Connection

    from wandb_runtime.lifecycle.plans import RunLocation


@dataclass(frozen=True)
class CurrentRun:
    """A run, and the Flyte action that it belongs to."""

    run: Run | None
    location: RunLocation | None
    """None, as the run is, where this process of a distributed task does not log."""
    action: tuple[str, str] | None
    connection: Connection | None = None
    """How the run's server is reached; None if another function has opened the run."""


# A context variable is inherited by threads, traces and, in local mode, child tasks. Storing the action hides it from
# the latter: an undecorated child sees no run, never its parent's.
_current: ContextVar[CurrentRun | None] = ContextVar("wandb_runtime_current", default=None)


@dataclass(frozen=True)
class _Trial:
    """Code that has `wandb.run` to itself, and the Flyte action that it is part of."""

    action: tuple[str, str] | None


_trial: ContextVar[_Trial | None] = ContextVar("wandb_runtime_trial", default=None)


def current_run() -> CurrentRun | None:
    """Return the run of the current action, or of a function outside Flyte; None without a run."""
    found = _current.get()
    return found if found is not None and found.action == _action() else None


@contextlib.contextmanager
def activate(run: Run | None, location: RunLocation | None, connection: Connection | None = None) -> Iterator[None]:
    """Make a run the current one of the code inside; with None that code has no run and opens none."""
    token = _current.set(CurrentRun(run, location, _action(), connection))
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def in_trial() -> Iterator[None]:
    """Let the code inside, a sweep objective, find the run that it opens by `wandb.init`, and no other.

    Decorated functions in it open a separate run. Use it where `wandb.run` belongs to the objective alone.
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
    """Return the W&B run of the current task, trace or decorated function; in a sweep objective, the trial's run.

    Returns:
        The run. None outside of these, in an undecorated task, on a rank that does not log, and in an objective that
            has not called `wandb.init` yet. Never the run of another task.
    """
    found = current_run()
    if found is not None:
        return found.run
    trial = _trial.get()
    if trial is None or trial.action != _action():
        return None
    # Without importing wandb: code that has opened a run has imported it.
    run: Run | None = getattr(sys.modules.get("wandb"), "run", None)
    return run


def get_wandb_run_dir() -> str | None:
    """Return the local directory of the run that `get_wandb_run` returns.

    Returns:
        `run.dir`: files written there stay local until `run.save()` uploads them. None without a run.
    """
    run = get_wandb_run()
    return run.dir if run is not None else None
