"""Rewinding and forking of runs (`resume_from`, `fork_from`) that a retry does not repeat. Blocks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from wandb_artifacts import RunRef
from wandb_artifacts.client import Client

from wandb_runtime.server.diagnostics import RunRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_artifacts.client import Connection

    from wandb_runtime.tasks.action import TaskIdentity

_logger = logging.getLogger("wandb_runtime")

_TIMEOUT = 10.0
_BRANCHINGS = frozenset({"resume_from", "fork_from"})

# In local mode, attempts are in one process. Grows by one entry for each action that rewinds or forks.
_branched: set[tuple[str, str]] = set()


def continue_branch(init: Mapping[str, Any], task: TaskIdentity | None, connection: Connection) -> Mapping[str, Any]:
    """Replace `resume_from` or `fork_from` by `resume` if an earlier attempt of the action has branched.

    Args:
        init: The arguments of `wandb.init()`.
        task: The action that opens the run.
        connection: How the server is reached.
    """
    if task is None or _BRANCHINGS.isdisjoint(init) or not _has_branched(init, task, connection):
        return init
    return {**{name: value for name, value in init.items() if name not in _BRANCHINGS}, "resume": "allow"}


def remember_branch(init: Mapping[str, Any], task: TaskIdentity | None) -> None:
    """Remember that an action has rewound or forked a run."""
    if task is not None and not _BRANCHINGS.isdisjoint(init):
        _branched.add(task.key)


def _has_branched(init: Mapping[str, Any], task: TaskIdentity, connection: Connection) -> bool:
    if task.key in _branched:
        return True
    # Other processes can know only from the run itself, whose config names the action that opened it last.
    if task.is_local or task.attempt == 0:
        return False
    try:
        client, request = Client(connection, timeout=_TIMEOUT), RunRequest.of(init, connection)
        entity = request.entity or client.default_entity() or ""
        found = client.find_run(RunRef(entity, request.project or "uncategorized", init["id"]))
    except Exception as error:  # noqa: BLE001 - opening the run reports an outage
        _logger.debug("Cannot determine whether W&B run %s was branched: %s", init.get("id"), error)
        return False
    opener = found.config.get("flyte") if found is not None else None
    return isinstance(opener, dict) and (opener.get("run"), opener.get("action")) == task.key
