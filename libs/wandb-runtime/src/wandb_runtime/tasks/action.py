"""The Flyte action around the current code.

The only module that uses Flyte's private API. `flyte.ctx()` lacks three facts: whether a local action is the top-level
one, which functions are the bodies of tasks, and the URL of the run. The tests of both modes fail if that API changes.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flyte
from flyte._context import internal_ctx
from flyte._environment import list_loaded_environments
from flyte._initialize import get_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flyte.models import ActionID, TaskContext

_REMOTE_TOP_LEVEL = "a0"


@dataclass(frozen=True)
class TaskIdentity:
    """The facts about a Flyte action that its W&B run depends on."""

    run_name: str
    action_name: str
    is_top_level: bool
    is_local: bool
    project: str | None = None
    domain: str | None = None
    version: str | None = None
    attempt: int | None = None
    """The number of earlier attempts; None where Flyte does not provide it: local mode and reusable containers."""
    has_own_process: bool = False
    """Whether the process runs only this action: not in local mode and in reusable containers."""
    url: str | None = None
    """The page of the Flyte run."""

    @property
    def key(self) -> tuple[str, str]:
        """The key that identifies the action."""
        return self.run_name, self.action_name

    @property
    def attempt_key(self) -> str:
        """A string that identifies this attempt; a time stamp where Flyte does not provide the attempt number."""
        return str(self.attempt) if self.attempt is not None else f"at {time.time_ns()}"


def current_task() -> TaskIdentity | None:
    """Return the running action; None outside Flyte. In a trace it is the action of the task that called the trace."""
    context = flyte.ctx()
    if not context:
        return None
    action = context.task_action or context.action
    is_local = context.mode == "local"
    has_own_process = not is_local and (os.environ.get("RUN_NAME"), os.environ.get("ACTION_NAME")) == (
        action.run_name,
        action.name,
    )
    return TaskIdentity(
        run_name=action.run_name or action.name,
        action_name=action.name,
        is_top_level=_is_top_level_locally(context) if is_local else action.name == _REMOTE_TOP_LEVEL,
        is_local=is_local,
        project=action.project,
        domain=action.domain,
        version=context.version or None,
        # It is read from the environment, which in a reusable container belongs to another action.
        attempt=context.attempt_number if has_own_process else None,
        has_own_process=has_own_process,
        url=None if is_local else _url(action),
    )


def is_pod_process() -> bool:
    """Whether this process was started to run an action; known from the environment before the action starts."""
    return "ACTION_NAME" in os.environ


def _url(action: ActionID) -> str | None:
    """Return the URL of the run's page."""
    if not (action.project and action.domain and action.run_name):
        return None
    try:
        return get_client().console.run_url(action.project, action.domain, action.run_name)
    except Exception:  # noqa: BLE001 - nothing depends on it
        return None


def _is_top_level_locally(context: TaskContext) -> bool:
    """Whether a local action is the top-level one.

    Locally every action is named by a hash. The context that Flyte entered before the top-level action is that of the
    run itself, whose action is named like the run; the token of each context holds the context that it replaced.
    """
    action = context.task_action
    around = internal_ctx()
    while (token := around._token) is not None and token.old_value is not token.MISSING:  # noqa: SLF001
        around = token.old_value
        outer = around.data.task_context
        if outer is None:
            return True
        if outer.task_action != action:
            return bool(outer.task_action.name == outer.task_action.run_name)
    return True


def _layers(function: object) -> Iterator[object]:
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def is_task_function(function: Callable[..., Any]) -> bool:
    """Whether this function is the body of a Flyte task, or is wrapped by one."""
    return any(
        any(layer is function for layer in _layers(getattr(task, "func", None)))
        for environment in list_loaded_environments()
        for task in getattr(environment, "tasks", {}).values()
    )
