"""Who is running: the Flyte action around the current code.

The only module that touches Flyte's internals. `flyte.ctx()` says everything but two things: whether a local action
is the top-level one, and which functions Flyte has made tasks of; `tests/e2e` notices when that moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flyte
from flyte._context import internal_ctx
from flyte._environment import list_loaded_environments

if TYPE_CHECKING:
    from collections.abc import Callable

    from flyte.models import TaskContext

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
    attempt: int = 0
    """How many attempts came before; always 0 in local mode, where Flyte does not tell."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells actions apart."""
        return self.run_name, self.action_name


def current_task() -> TaskIdentity | None:
    """The running action; None outside Flyte. In a trace it is the action of the task that called the trace."""
    context = flyte.ctx()
    if not context:
        return None
    action = context.task_action or context.action
    is_local = context.mode == "local"
    return TaskIdentity(
        run_name=action.run_name or action.name,
        action_name=action.name,
        is_top_level=_is_top_level_locally(context) if is_local else action.name == _REMOTE_TOP_LEVEL,
        is_local=is_local,
        project=action.project,
        domain=action.domain,
        version=context.version or None,
        attempt=0 if is_local else context.attempt_number,
    )


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


def is_task_function(function: Callable[..., Any]) -> bool:
    """Whether some Flyte task has this very function as its body."""
    return any(
        getattr(task, "func", None) is function
        for environment in list_loaded_environments()
        for task in getattr(environment, "tasks", {}).values()
    )
