"""The current task's run: a context variable."""

from __future__ import annotations

import contextlib
import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, overload

from wandb_runtime._errors import NoRunError, RunOpenError
from wandb_runtime.tasks.action import current_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb import Run
    from wandb_artifacts.client import Connection

    from wandb_runtime.lifecycle.live_run import LiveRun
    from wandb_runtime.lifecycle.plans import RunLocation

_NO_TASK = (
    "this code runs outside of Flyte tasks and functions with @wandb_init, or in a thread without the context of its "
    "task: start threads by asyncio.to_thread or with contextvars.copy_context().run"
)
_FORKED = "this process was forked from the task's process, which has the run: log there"
_UNDECORATED = "the task has no @wandb_init; put it above @env.task, or pass the run to this code"
_SILENT_RANK = 'this rank of the distributed task does not log; use run_mode="shared" or "new" for a run on every rank'
_NO_TRIAL = (
    "the sweep objective has not called wandb.init() yet; call it first, or decorate the objective with @wandb_init"
)


@dataclass(frozen=True)
class CurrentRun:
    """A run, and the Flyte action that it belongs to."""

    run: LiveRun | None
    location: RunLocation | None
    """None, as the run is, where this process of a distributed task does not log."""
    action: tuple[str, str] | None
    connection: Connection | None = None
    """How the run's server is reached; None if another function has opened the run."""
    process: int = field(default_factory=os.getpid)


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
    is_current = found is not None and found.process == os.getpid() and found.action == _action()
    return found if is_current else None


@contextlib.contextmanager
def activate(run: LiveRun | None, location: RunLocation | None, connection: Connection | None = None) -> Iterator[None]:
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


@overload
def get_wandb_run(*, required: Literal[True]) -> Run: ...
@overload
def get_wandb_run(*, required: bool = False) -> Run | None: ...
def get_wandb_run(*, required: bool = False) -> Run | None:
    """Return the W&B run of the current task, trace or decorated function; in a sweep objective, the trial's run.

    If the body or a library has ended the run, it is opened again, which blocks, and a warning is logged.

    Args:
        required: Whether to raise if there is no run, rather than to return None.

    Returns:
        The run. None outside of these, in an undecorated task, on a rank that does not log, and in an objective that
            has not called `wandb.init` yet. Never the run of another task.

    Raises:
        NoRunError: `required` is true, and there is no run; the error states why.
    """
    try:
        return _find_run()
    except NoRunError:
        if required:
            raise
        return None


def _find_run() -> Run:
    found = current_run()
    if found is not None:
        return _open_run_of(found)
    elsewhere = _current.get()
    if elsewhere is not None and elsewhere.process != os.getpid():
        raise NoRunError(_FORKED)
    trial, action = _trial.get(), _action()
    if trial is None or trial.action != action:
        raise NoRunError(_NO_TASK if action is None else _UNDECORATED)
    # Without importing wandb: code that has opened a run has imported it.
    run: Run | None = getattr(sys.modules.get("wandb"), "run", None)
    if run is None:
        raise NoRunError(_NO_TRIAL)
    return run


def _open_run_of(current: CurrentRun) -> Run:
    if current.run is None:
        raise NoRunError(_SILENT_RANK)
    try:
        return current.run.get()
    except RunOpenError as error:
        raise NoRunError(str(error)) from error


def get_wandb_run_dir() -> str | None:
    """Return the local directory of the run that `get_wandb_run` returns.

    Returns:
        `run.dir`: files written there stay local until `run.save()` uploads them. None without a run.
    """
    run = get_wandb_run()
    return run.dir if run is not None else None
