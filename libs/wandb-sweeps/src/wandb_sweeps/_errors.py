from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_runtime.tasks.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoSweepConfigError(TaskError, LookupError):
    """A task with `@wandb_sweep` has neither a sweep to join nor a sweep configuration."""


class SweepConfigError(TaskError, ValueError):
    """W&B cannot search with a sweep configuration; nothing has been created.

    Args:
        problems: Every problem found; each starts with the path of the key, such as `parameters['lr']`.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the sweep configuration is not valid:" + "".join(f"\n- {text}" for text in self.problems))

    def __reduce__(self) -> tuple[type[SweepConfigError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class SweepCreateError(TaskError, RuntimeError):
    """A W&B sweep could not be created or found; the task's body has not started."""


class SweepNotFoundError(TaskError, LookupError):
    """The sweep does not exist: it was never created, was deleted, or belongs to another project."""


class SweepUnavailableError(TaskError):
    """W&B did not respond, or refused the request, for as long as an agent waits."""


class AgentsFailedError(TaskError):
    """All agents of a fan-out failed.

    Args:
        errors: The reason for each agent, by the agent's name.
    """

    def __init__(self, errors: dict[str, str]) -> None:
        self.errors = errors
        name, reason = next(iter(errors.items()))
        super().__init__(f"all {len(errors)} sweep agents failed; {name}: {reason}")

    def __reduce__(self) -> tuple[type[AgentsFailedError], tuple[dict[str, str]]]:
        return type(self), (self.errors,)


class AgentBusyError(TaskError, RuntimeError):
    """A second agent of the SDK would wait for the first one forever."""
