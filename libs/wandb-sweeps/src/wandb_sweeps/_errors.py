from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_artifacts import WandbPluginError

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoSweepConfigError(WandbPluginError, LookupError):
    """A task with `@wandb_sweep` finds neither a sweep nor a sweep configuration."""


class SweepConfigError(WandbPluginError, ValueError):
    """A sweep configuration is not one that W&B can search with; nothing has been created.

    Args:
        problems: What is wrong with it; each starts with the path of the key, such as `parameters['lr']`.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the sweep configuration is not valid:" + "".join(f"\n- {text}" for text in self.problems))

    def __reduce__(self) -> tuple[type[SweepConfigError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class SweepCreateError(WandbPluginError, RuntimeError):
    """A W&B sweep could not be created or looked up; the task's body has not started."""


class SweepNotFoundError(WandbPluginError, LookupError):
    """There is no such sweep: it was never made, has been deleted, or is of another project."""


class SweepUnavailableError(WandbPluginError):
    """W&B has not answered, or has refused to, for as long as an agent waits for it."""


class AgentsFailedError(WandbPluginError):
    """All agents of a fan-out have failed.

    Args:
        errors: Why, by the name of the agent.
    """

    def __init__(self, errors: dict[str, str]) -> None:
        self.errors = errors
        name, reason = next(iter(errors.items()))
        super().__init__(f"all {len(errors)} sweep agents have failed; {name}: {reason}")

    def __reduce__(self) -> tuple[type[AgentsFailedError], tuple[dict[str, str]]]:
        return type(self), (self.errors,)


class AgentBusyError(WandbPluginError, RuntimeError):
    """A second agent of the SDK would wait for the first one for ever."""
