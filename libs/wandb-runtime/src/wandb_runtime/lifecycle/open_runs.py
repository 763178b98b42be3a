"""The W&B runs that are open in this process.

In Flyte's local mode parents and children are in one process and share one run object, found by its address. So do
actions of a reusable container that write to one run: the SDK opens an id once in a process.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wandb import Run

    from wandb_runtime._plan import RunAddress

T = TypeVar("T")


@dataclass(eq=False)
class _Entry:
    run: Run | None = None
    users: int = 0
    is_aside: bool = False
    """Whether `wandb.run` is somebody else's for a while."""
    switching: threading.Lock = field(default_factory=threading.Lock)
    """Held while the run opens or closes: its id is in use until it has closed."""


_lock = threading.Lock()
_entries: dict[RunAddress, _Entry] = {}


def find(address: RunAddress | None) -> Run | None:
    """The open run at an address; None if it is not this process that has it open."""
    entry = None if address is None else _entries.get(address)
    return entry.run if entry else None


def has_id(run_id: str) -> bool:
    """Whether a run with this id is open."""
    return any(address.id == run_id and entry.run is not None for address, entry in list(_entries.items()))


def add(address: RunAddress, run: Run) -> None:
    """Notes that a run was opened by the task that ends it."""
    with _lock:
        _entries[address] = _Entry(run, users=1)
        _point_wandb_at_the_only_run(run)


def remove(address: RunAddress) -> None:
    """Notes that the task that ends a run is closing it."""
    with _lock:
        run = _entries.pop(address).run
        _point_wandb_at_the_only_run(run)


def enter(address: RunAddress, open_run: Callable[[], Run]) -> Run:
    """Gives a second writer its run: the one that is open here, or one that is opened for it and those that follow."""
    with _lock:
        entry = _entries.setdefault(address, _Entry())
        entry.users += 1
    try:
        with entry.switching:
            if entry.run is None:
                entry.run = open_run()
                with _lock:
                    _point_wandb_at_the_only_run(entry.run)
            return entry.run
    except BaseException:
        leave(address, lambda _: None)
        raise


def leave(address: RunAddress, close: Callable[[Run], T]) -> T | None:
    """Ends a second writer's use of its run, and closes it after the last one; gives what closing it gave."""
    entry = _entries.get(address)
    if entry is None:  # the task that ends the run was in this process, and has ended it
        return None
    with entry.switching:
        with _lock:
            entry.users -= 1
            if entry.users or _entries.get(address) is not entry:
                return None
            run, entry.run = entry.run, None
            _point_wandb_at_the_only_run(run)
        closed = None if run is None else close(run)
        with _lock:
            if not entry.users:
                del _entries[address]
        return closed


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """Keeps the open runs out of reach of code that ends all runs of the process. `wandb.run` is that code's alone."""
    from wandb_runtime import _sdk

    with _lock:
        aside = list(_entries.values())
        for entry in aside:
            entry.is_aside = True
    try:
        with _sdk.session_of_its_own():
            yield
    finally:
        with _lock:
            for entry in aside:
                entry.is_aside = False
            _point_wandb_at_the_only_run(None)


def _point_wandb_at_the_only_run(changed: Run | None) -> None:
    """Sets `wandb.run` and `wandb.log` where they are unambiguous, for libraries that look there for the run.

    A run that the user opened without this plugin is left alone.
    """
    import wandb

    from wandb_runtime import _sdk

    runs = [entry.run for entry in _entries.values() if entry.run is not None and not entry.is_aside]
    if wandb.run is not None and wandb.run is not changed and wandb.run not in runs:
        return
    _sdk.set_global_run(runs[0] if len(runs) == 1 else None)
