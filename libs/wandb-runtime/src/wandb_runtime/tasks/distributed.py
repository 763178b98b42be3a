"""The rank of this process in a distributed task.

Torch elastic (Flyte's Elastic, and flyte.clustered with torchrun) and flyte.clustered for JAX set it in environment
variables.
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
    """The size of a task, as far as it is known before the task runs."""

    workers: int = 1
    ranks: int = 1


class DistributedInfo(TypedDict):
    """The rank of a process in a distributed task."""

    rank: int
    """The number of the process in the task, from 0."""
    local_rank: int
    """The number of the process on its worker, from 0."""
    world_size: int
    """The number of processes of the task."""
    local_world_size: int
    """The number of processes on this worker."""
    worker_index: int
    """The number of the worker (node, pod) that the process is on, from 0."""
    num_workers: int
    """The number of workers of the task."""


def get_distributed_info() -> DistributedInfo | None:
    """Return the rank of this process in a distributed task.

    Returns:
        What torchrun, torch elastic (Flyte's `Elastic`) or flyte.clustered (torchrun and JAX) have set; None if the
            task has one process.

    Raises:
        InvalidValueError: An environment variable of the launcher is missing or invalid; the error names it.
    """
    return distributed_info(os.environ)


def distributed_info(environment: Mapping[str, str]) -> DistributedInfo | None:
    """`get_distributed_info` for a given environment."""
    if "WORLD_SIZE" not in environment:
        return None
    world_size = _number(environment, "WORLD_SIZE", _POSITIVE, default=1)
    if world_size == 1:
        return None
    rank = _number(environment, "RANK", range(world_size))
    # A launcher of one process per worker need not set it.
    local_world_size = _number(environment, "LOCAL_WORLD_SIZE", _POSITIVE, default=1)
    local_rank = _number(environment, "LOCAL_RANK", range(local_world_size), default=rank % local_world_size)
    # The workers of an elastic task may differ in size: their number is computed only where it is not set.
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


def declared_size(*sources: object) -> DeclaredSize:
    """Return the size that a task is declared with; a single process by default.

    Flyte's Elastic and flyte.clustered are recognized by their attributes: the former is a separate package, the class
    of the latter's configuration is private.

    Args:
        sources: The task's plugin configuration and its environment. Older versions of flyte.clustered have the size in
            the environment only.
    """
    for source in sources:
        settings: Any = getattr(source, "settings", None) or source
        try:
            workers = settings.nnodes if hasattr(settings, "nnodes") else settings.replicas
            # An elastic task may have "2:4" workers.
            most, per_worker = int(str(workers).rpartition(":")[2]), int(settings.nproc_per_node)
        except (AttributeError, TypeError, ValueError):
            continue
        return DeclaredSize(max(1, most), max(1, most * per_worker))
    return DeclaredSize()


def is_launched(environment: Mapping[str, str]) -> bool:
    """Whether a launcher has started this process: Flyte has no controller there, so no traces and no child tasks."""
    return any(environment.get(name) for name in _LAUNCHERS)


def _number(environment: Mapping[str, str], name: str, allowed: range, *, default: int | None = None) -> int:
    text = environment.get(name)
    if not text and default is not None:
        return default
    if not text:
        reason = (
            "is not set, although WORLD_SIZE announces several processes; "
            "start them with a launcher that numbers them, or unset WORLD_SIZE"
        )
        raise InvalidValueError(name, None, reason)
    if not (text.isascii() and text.isdigit() and int(text) in allowed):
        upper = "" if allowed == _POSITIVE else f" to {allowed[-1]}"
        reason = f"must be a whole number from {allowed[0]}{upper}; the launcher sets this variable, do not change it"
        raise InvalidValueError(name, text, reason)
    return int(text)
