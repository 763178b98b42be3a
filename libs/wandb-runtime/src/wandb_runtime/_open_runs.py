"""The W&B runs that are open in this process.

In Flyte's local mode parents and children are in one process and share one run object, found by its address.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wandb import Run

    from wandb_runtime._plan import RunAddress

_lock = threading.Lock()
_runs: dict[RunAddress, Run] = {}


def find(address: RunAddress | None) -> Run | None:
    """The open run at an address; None if it is not this process that has it open."""
    return None if address is None else _runs.get(address)


def has_id(run_id: str) -> bool:
    """Whether a run with this id is open."""
    return any(address.id == run_id for address in list(_runs))


def add(address: RunAddress, run: Run) -> None:
    """Notes that a run was opened."""
    with _lock:
        _runs[address] = run
        _point_wandb_at_the_only_run(run)


def remove(address: RunAddress) -> None:
    """Notes that a run is being closed."""
    with _lock:
        _point_wandb_at_the_only_run(_runs.pop(address))


def _point_wandb_at_the_only_run(changed: Run) -> None:
    """Sets `wandb.run` and `wandb.log` where they are unambiguous, for libraries that look there for the run.

    A run that the user opened without this plugin is left alone.
    """
    import wandb

    from wandb_runtime import _sdk

    if wandb.run is not None and wandb.run is not changed and wandb.run not in _runs.values():
        return
    _sdk.set_global_run(next(iter(_runs.values())) if len(_runs) == 1 else None)
