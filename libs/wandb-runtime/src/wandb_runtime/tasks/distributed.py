"""Which of several processes this one is, where a task runs in several.

Torch elastic (Flyte's Elastic, and flyte.clustered by torchrun) and flyte.clustered for JAX say so in the environment.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import TypedDict
from wandb_artifacts import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

_POSITIVE = range(1, sys.maxsize)
_LAUNCHERS = ("RANK", "TORCHELASTIC_RUN_ID", "FLYTE_CLUSTERED_WORKER")


class DeclaredSize(NamedTuple):
    """How large a task is, as far as that is known before it runs."""

    workers: int = 1
    ranks: int = 1


class DistributedInfo(TypedDict):
    """The place of a process in a distributed task."""

    rank: int
    """The number of the process among all of the task, from 0."""
    local_rank: int
    """The number of the process on its worker, from 0."""
    world_size: int
    """How many processes the task has."""
    local_world_size: int
    """How many of them are on this worker."""
    worker_index: int
    """The number of the worker (node, pod) that the process is on, from 0."""
    num_workers: int
    """How many workers the task has."""


def get_distributed_info() -> DistributedInfo | None:
    """The place of this process in a distributed task.

    Returns:
        What torchrun, torch elastic (Flyte's `Elastic`) or flyte.clustered (torchrun and JAX) have set; None where
        the task has one process.

    Raises:
        InvalidValueError: A variable of the launcher is missing, or holds what it cannot; the variable is named.
    """
    return distributed_info(os.environ)


def distributed_info(environment: Mapping[str, str]) -> DistributedInfo | None:
    """`get_distributed_info` of an environment."""
    if "WORLD_SIZE" not in environment:
        return None
    world_size = _number(environment, "WORLD_SIZE", _POSITIVE, default=1)
    if world_size == 1:
        return None
    rank = _number(environment, "RANK", range(world_size))
    # A launcher of one process a worker need not say so.
    local_world_size = _number(environment, "LOCAL_WORLD_SIZE", _POSITIVE, default=1)
    local_rank = _number(environment, "LOCAL_RANK", range(local_world_size), default=rank % local_world_size)
    # The workers of an elastic task may differ in size: their number is computed only where it is not said.
    num_workers = _number(environment, "GROUP_WORLD_SIZE", _POSITIVE, default=-(-world_size // local_world_size))
    group = next((name for name in ("GROUP_RANK", "NODE_RANK") if environment.get(name)), "GROUP_RANK")
    worker_index = _number(environment, group, range(num_workers), default=rank // local_world_size)
    return DistributedInfo(
        rank=rank,
        local_rank=local_rank,
        world_size=world_size,
        local_world_size=local_world_size,
        worker_index=worker_index,
        num_workers=num_workers,
    )


def declared_size(plugin_config: object) -> DeclaredSize:
    """The size that the configuration of a task's plugin gives; a single process where it gives none.

    Flyte's Elastic and flyte.clustered are told by their attributes: the one is a package of its own, the class of
    the other is private.
    """
    settings: Any = getattr(plugin_config, "settings", None) or plugin_config
    try:
        workers = settings.nnodes if hasattr(settings, "nnodes") else settings.replicas
        # An elastic task may have "2:4" workers.
        most, per_worker = int(str(workers).rpartition(":")[2]), int(settings.nproc_per_node)
    except (AttributeError, TypeError, ValueError):
        return DeclaredSize()
    return DeclaredSize(max(1, most), max(1, most * per_worker))


def is_launched(environment: Mapping[str, str]) -> bool:
    """Whether a launcher has started this process: Flyte has no controller there, so no traces and no child tasks."""
    return any(environment.get(name) for name in _LAUNCHERS)


def _number(environment: Mapping[str, str], name: str, allowed: range, *, default: int | None = None) -> int:
    text = environment.get(name)
    if not text and default is not None:
        return default
    if not text:
        reason = (
            "is not set, though WORLD_SIZE says that there are several processes; "
            "start them by a launcher that numbers them, or unset WORLD_SIZE"
        )
        raise InvalidValueError(name, None, reason)
    if not (text.isascii() and text.isdigit() and int(text) in allowed):
        upper = "" if allowed == _POSITIVE else f" to {allowed[-1]}"
        reason = f"must be a whole number from {allowed[0]}{upper}; the launcher sets this variable, leave it alone"
        raise InvalidValueError(name, text, reason)
    return int(text)
