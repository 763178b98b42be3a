"""The W&B runs that are open in this process.

In Flyte's local mode parents and children are in one process and share one run object, found by its location. Actions
of a reusable container that write to one run do too: the SDK opens an id once per process.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wandb import Run

    from wandb_runtime.lifecycle.live_run import LiveRun
    from wandb_runtime.lifecycle.plans import RunLocation

T = TypeVar("T")


@dataclass(eq=False)
class _Entry:
    run: LiveRun | None = None
    users: int = 0
    is_hidden: bool = False
    """Whether the run is kept out of `wandb.run` for a while."""
    switching: threading.Lock = field(default_factory=threading.Lock)
    """Held while the run opens or closes: its id is in use until it has closed."""


_lock = threading.Lock()
_entries: dict[RunLocation, _Entry] = {}


def find(location: RunLocation | None) -> LiveRun | None:
    """Return the open run at a location; None if this process does not have it open."""
    entry = None if location is None else _entries.get(location)
    return entry.run if entry else None


def has_id(run_id: str) -> bool:
    """Whether a run with this id is open."""
    return any(location.id == run_id and entry.run is not None for location, entry in list(_entries.items()))


def add(location: RunLocation, run: LiveRun) -> None:
    """Register a run that was opened by the task that will finish it."""
    with _lock:
        _entries[location] = _Entry(run, users=1)
        _update_global_run(run.run)


def show(run: Run) -> None:
    """Make a run that was opened again `wandb.run`, where that is unambiguous."""
    with _lock:
        _update_global_run(run)


def remove(location: RunLocation) -> None:
    """Unregister a run that is about to be finished."""
    with _lock:
        run = _entries.pop(location).run
        _update_global_run(run.run if run is not None else None)


def acquire(location: RunLocation, open_run: Callable[[], LiveRun]) -> LiveRun:
    """Return the run of a second writer: the one that is open here, or one that is opened for it and later writers."""
    with _lock:
        entry = _entries.setdefault(location, _Entry())
        entry.users += 1
    try:
        with entry.switching:
            if entry.run is None:
                entry.run = open_run()
                with _lock:
                    _update_global_run(entry.run.run)
            return entry.run
    except BaseException:
        release(location, lambda _: None)
        raise


def release(location: RunLocation, close: Callable[[LiveRun], T]) -> T | None:
    """End a second writer's use of its run, and close the run after the last use.

    Returns:
        The result of `close`; None if it was not called.
    """
    entry = _entries.get(location)
    if entry is None:  # the task that finishes the run was in this process, and has finished it
        return None
    with entry.switching:
        with _lock:
            entry.users -= 1
            if entry.users or _entries.get(location) is not entry:
                return None
            run, entry.run = entry.run, None
            _update_global_run(run.run if run is not None else None)
        closed = None if run is None else close(run)
        with _lock:
            if not entry.users:
                del _entries[location]
        return closed


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Hide the open runs from code that ends all runs of the process. `wandb.run` belongs to that code."""
    from wandb_runtime.server import sdk_private

    with _lock:
        entries = list(_entries.values())
        for entry in entries:
            entry.is_hidden = True
    try:
        with sdk_private.separate_session():
            yield
    finally:
        with _lock:
            for entry in entries:
                entry.is_hidden = False
            _update_global_run(None)


def _update_global_run(changed: Run | None) -> None:
    """Set `wandb.run` and `wandb.log` where they are unambiguous, for libraries that read the run from there.

    A run that the user opened without this plugin is left alone.
    """
    import wandb

    from wandb_runtime.server import sdk_private

    runs = [entry.run.run for entry in _entries.values() if entry.run is not None and not entry.is_hidden]
    current = wandb.run
    if current is not None and current is not changed and current not in runs and not sdk_private.has_ended(current):
        return
    sdk_private.set_global_run(runs[0] if len(runs) == 1 else None)
