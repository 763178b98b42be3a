"""Who is running: the Flyte action around the current code.

The only module that touches Flyte's internals. `flyte.ctx()` says everything but three things: whether a local action
is the top-level one, which functions Flyte has made tasks of, and where the run is shown; the tests of both modes
notice when that moves.
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
    """A Flyte action, as far as a W&B run is concerned with it."""

    run_name: str
    action_name: str
    is_top_level: bool
    is_local: bool
    project: str | None = None
    domain: str | None = None
    version: str | None = None
    attempt: int | None = None
    """How many attempts came before; None where Flyte does not tell: in local mode and in reusable containers."""
    has_own_process: bool = False
    """Whether the process is there for this action alone: not in local mode and in reusable containers."""
    url: str | None = None
    """The page of the Flyte run."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells actions apart."""
        return self.run_name, self.action_name

    @property
    def attempt_key(self) -> str:
        """What tells this attempt from others; where Flyte does not tell, what no other moment has."""
        return str(self.attempt) if self.attempt is not None else f"at {time.time_ns()}"


def current_task() -> TaskIdentity | None:
    """The running action; None outside Flyte. In a trace it is the action of the task that called the trace."""
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
        # It is read from the environment, which in a reusable container is not this action's.
        attempt=context.attempt_number if has_own_process else None,
        has_own_process=has_own_process,
        url=None if is_local else _url(action),
    )


def is_pod_process() -> bool:
    """Whether this process is there to run an action; the environment tells before the action has started."""
    return "ACTION_NAME" in os.environ


def _url(action: ActionID) -> str | None:
    """Where the platform shows the run."""
    if not (action.project and action.domain and action.run_name):
        return None
    try:
        return get_client().console.run_url(action.project, action.domain, action.run_name)
    except Exception:  # noqa: BLE001 - nothing depends on it
        return None


def _is_top_level_locally(context: TaskContext) -> bool:
    """Locally every action is named by a hash. What Flyte entered before the top-level one is the run itself, which
    is named like the run; each context remembers in its token what it replaced."""
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
    """Whether some Flyte task has this very function as its body, or as what its body wraps."""
    return any(
        any(layer is function for layer in _layers(getattr(task, "func", None)))
        for environment in list_loaded_environments()
        for task in getattr(environment, "tasks", {}).values()
    )
