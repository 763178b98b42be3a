"""Runs of the ranks of a distributed task: the table in the documentation of `wandb_init`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_runtime.config.run import RankScope, RunMode
    from wandb_runtime.tasks.distributed import DistributedInfo


@dataclass(frozen=True)
class RankLayout:
    """A rank's role, and the suffixes of its run id and group."""

    id_suffix: str = ""
    group_suffix: str | None = None
    """None: the group is that of a task with one process."""
    label: str | None = None
    """The rank's name among the writers of the run; None if it is the only one."""
    is_primary: bool = True
    """Whether it opens and finishes the run."""


_SINGLE_PROCESS = RankLayout()


def layout_for(ranks: DistributedInfo | None, settings: Mapping[str, Any]) -> RankLayout | None:
    """Return the layout of a process; None if it does not log.

    Args:
        ranks: The rank of the process; None if it is the only process of its task.
        settings: The effective settings, by name.
    """
    if ranks is None:
        return _SINGLE_PROCESS
    run_mode, scope = modes_of(settings)
    if run_mode == "new":
        return separate_run_layout(ranks, scope)
    first = ranks["local_rank" if scope == "worker" else "rank"] == 0
    suffix = run_suffix(scope, ranks["worker_index"], ranks["num_workers"])
    if run_mode == "shared":
        return RankLayout(suffix, label=f"rank-{ranks['rank']}", is_primary=first)
    return RankLayout(suffix) if first else None


def separate_run_layout(ranks: DistributedInfo, scope: RankScope) -> RankLayout:
    """Return the layout of a rank that has a separate run."""
    group = group_suffix(scope, ranks["worker_index"])
    rank = ranks["local_rank" if scope == "worker" else "rank"]
    return RankLayout(f"{group}-rank-{rank}", group_suffix=group)


def modes_of(settings: Mapping[str, Any]) -> tuple[RunMode, RankScope]:
    """Return the run mode and the rank scope, by default "auto" and "global"."""
    return settings.get("run_mode", "auto"), settings.get("rank_scope", "global")


def run_suffix(scope: RankScope, worker: int, workers: int) -> str:
    """Return the suffix of the id of a run of several ranks, or of the first of them."""
    return f"-worker-{worker}" if scope == "worker" and workers > 1 else ""


def group_suffix(scope: RankScope, worker: int) -> str:
    """Return the suffix of the group of ranks with separate runs."""
    return f"-worker-{worker}" if scope == "worker" else ""
