from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from typing_extensions import TypedDict, Unpack
from wandb_artifacts import InvalidValueError, check_entity, check_project
from wandb_runtime.config import validators
from wandb_runtime.config.context import ContextConfig, Field, TextField

if TYPE_CHECKING:
    from typing_extensions import Self

SCOPE_KEY = "_wandb_sweep_scope"
"""The key of the Flyte context that tells one `with wandb_sweep_config(...)` block from another."""

SweepMethod = Literal["grid", "random", "bayes"]
"""How W&B chooses the parameters of the next trial."""

OnExit = Literal["leave", "stop"]
"""What becomes of a sweep when the task that created it has returned."""

OnFailure = Literal["leave", "stop", "cancel"]
"""What becomes of a sweep when the task that created it has failed."""


class SweepOptions(TypedDict, total=False):
    """The keys of a W&B sweep configuration that `wandb_sweep_config` does not name itself."""

    command: Sequence[str] | None
    controller: Mapping[str, Any] | None
    description: str | None
    early_terminate: Mapping[str, Any] | None
    image_uri: str | None
    job: str | None
    program: str | None
    run_cap: int | None
    scheduler: Mapping[str, Any] | None


class SweepSettings(SweepOptions, total=False):
    """The keys of a W&B sweep configuration that `wandb_sweep` does not name itself."""

    method: SweepMethod | None
    metric: Mapping[str, Any] | None
    name: str | None
    parameters: Mapping[str, Any] | None
    prior_runs: Sequence[str] | None


def _check_run_cap(field: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidValueError(field, value, "must be a whole number of trials above 0")
    return value


class WandbSweepConfig(ContextConfig):
    """The settings of a W&B sweep, as `wandb_sweep_config` makes them and `get_wandb_sweep_context` returns them.

    Immutable. Every setting is an attribute that is None where it was not given. It is also the `dict[str, str]` that
    Flyte carries: pass it as `custom_context`, unpack it into another dictionary, or use it in a `with` statement
    around calls of child tasks.
    """

    __slots__ = ()

    prefix: ClassVar[str] = "wandb_sweep_"
    function: ClassVar[str] = "wandb_sweep_config"

    method = TextField[SweepMethod](validators.one_of("grid", "random", "bayes"))
    metric = Field[dict[str, Any]](validators.mapping)
    parameters = Field[dict[str, Any]](validators.mapping)
    project = TextField[str](validators.from_function(check_project))
    entity = TextField[str](validators.from_function(check_entity))
    prior_runs = Field[list[str]](validators.string_list)
    name = TextField[str](validators.string)
    download_logs = Field[bool](validators.boolean)
    on_exit = TextField[OnExit](validators.one_of("leave", "stop"))
    on_failure = TextField[OnFailure](validators.one_of("leave", "stop", "cancel"))

    command = Field[list[str]](validators.string_list)
    controller = Field[dict[str, Any]](validators.mapping)
    description = TextField[str](validators.string)
    early_terminate = Field[dict[str, Any]](validators.mapping)
    image_uri = TextField[str](validators.string)
    job = TextField[str](validators.string)
    program = TextField[str](validators.string)
    run_cap = Field[int](_check_run_cap)
    scheduler = Field[dict[str, Any]](validators.mapping)

    def entered(self, effective: Self) -> dict[str, str]:
        """What a `with` block hands to the tasks called in it: they make a sweep, although one is in force above."""
        return {**effective, SCOPE_KEY: uuid.uuid4().hex}


def wandb_sweep_config(
    method: SweepMethod | None = None,
    metric: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    project: str | None = None,
    entity: str | None = None,
    prior_runs: Sequence[str] | None = None,
    name: str | None = None,
    download_logs: bool | None = None,
    *,
    on_exit: OnExit | None = None,
    on_failure: OnFailure | None = None,
    **kwargs: Unpack[SweepOptions],
) -> WandbSweepConfig:
    """Settings for the W&B sweep of a Flyte run, or of the tasks called in a `with` block. None means "not given".

    Args:
        method: How W&B searches: "grid", "random" or "bayes".
        metric: What it optimizes: `{"name": "loss", "goal": "minimize"}`.
        parameters: The search space, as in W&B's sweep configuration.
        project: The W&B project of the sweep.
        entity: The user or team that owns it.
        prior_runs: Ids of earlier runs the search starts from.
        name: The display name of the sweep; `{run name}-{action name}` by default.
        download_logs: Whether to download the files of the sweep's runs when its task has ended.
        on_exit: What becomes of the sweep when its task has returned: "leave" it (default) or "stop" it.
        on_failure: What becomes of the sweep when its task has failed: "leave" it, "stop" it (default) or "cancel" it.
        **kwargs: Further keys of W&B's sweep configuration: `early_terminate`, `description`, `command`, `run_cap`, ...

    Returns:
        The configuration, which is also a dictionary: for `flyte.with_runcontext(custom_context=...)`, for
        `{**wandb_config(...), **wandb_sweep_config(...)}`, or for `with wandb_sweep_config(...):` inside a task.

    Raises:
        InvalidValueError: A value is not one W&B takes, cannot be carried as JSON, or is a credential.
    """
    return WandbSweepConfig.from_values(
        method=method,
        metric=metric,
        parameters=parameters,
        project=project,
        entity=entity,
        prior_runs=prior_runs,
        name=name,
        download_logs=download_logs,
        on_exit=on_exit,
        on_failure=on_failure,
        **kwargs,
    )


def get_wandb_sweep_context() -> WandbSweepConfig:
    """The W&B sweep configuration in force in the current Flyte context.

    Returns:
        The configuration; an empty (falsy) one where none was given and outside tasks.
    """
    return WandbSweepConfig.current()
