"""Exceptions of W&B runs in tasks."""

from __future__ import annotations

from wandb_runtime.tasks.errors import TaskError


class NoParentRunError(TaskError, LookupError):
    """A task with `run_mode="shared"` has no parent run that it can join."""


class DecoratorOrderError(TaskError, TypeError):
    """`@wandb_init` is below `@env.task` instead of above it."""


class RunOpenError(TaskError, RuntimeError):
    """A W&B run could not be opened; the task's body has not started."""


class MissingApiKeyError(RunOpenError):
    """No W&B API key is configured."""


class UnavailableError(RunOpenError, ConnectionError):
    """W&B is unreachable, or did not respond in time."""


class NoRunError(TaskError, LookupError):
    """`get_wandb_run(required=True)` was called where there is no W&B run."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"No W&B run here: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[NoRunError], tuple[str]]:
        return type(self), (self.reason,)


class ArtifactError(TaskError, RuntimeError):
    """W&B has not stored an artifact, or not recorded its use."""
