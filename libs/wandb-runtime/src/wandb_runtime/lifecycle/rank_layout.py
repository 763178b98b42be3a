"""Which run each process of a distributed task has: the table in the documentation of `wandb_init`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_runtime._config import RankScope, RunMode
    from wandb_runtime._ranks import DistributedInfo


@dataclass(frozen=True)
class Place:
    """What a process has to do with a run; in the ids and groups of the table, what follows the base."""

    id_suffix: str = ""
    group_suffix: str | None = None
    """None: the group is that of a task with one process."""
    label: str | None = None
    """Its name among several writers of the run; None where it is the only one."""
    is_primary: bool = True
    """Whether it opens and ends the run."""


_ONLY = Place()


def place_of(ranks: DistributedInfo | None, settings: Mapping[str, Any]) -> Place | None:
    """The place of a process; None: it does not log.

    Args:
        ranks: Which of several processes it is; None for the only one.
        settings: The settings in force, by name.
    """
    if ranks is None:
        return _ONLY
    run_mode, scope = modes_of(settings)
    if run_mode == "new":
        return own_place(ranks, scope)
    first = ranks["local_rank" if scope == "worker" else "rank"] == 0
    suffix = run_suffix(scope, ranks["worker_index"], ranks["num_workers"])
    if run_mode == "shared":
        return Place(suffix, label=f"rank-{ranks['rank']}", is_primary=first)
    return Place(suffix) if first else None


def own_place(ranks: DistributedInfo, scope: RankScope) -> Place:
    """The place of a process with a run of its own."""
    group = group_suffix(scope, ranks["worker_index"])
    rank = ranks["local_rank" if scope == "worker" else "rank"]
    return Place(f"{group}-rank-{rank}", group_suffix=group)


def modes_of(settings: Mapping[str, Any]) -> tuple[RunMode, RankScope]:
    """The run mode and the scope, by default "auto" and "global"."""
    return settings.get("run_mode", "auto"), settings.get("rank_scope", "global")


def run_suffix(scope: RankScope, worker: int, workers: int) -> str:
    """What follows the base in the id of a run of several ranks, or of the first of them."""
    return f"-worker-{worker}" if scope == "worker" and workers > 1 else ""


def group_suffix(scope: RankScope, worker: int) -> str:
    """What follows the base in the group of ranks with runs of their own."""
    return f"-worker-{worker}" if scope == "worker" else ""
