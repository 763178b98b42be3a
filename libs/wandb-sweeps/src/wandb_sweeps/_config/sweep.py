"""The sweep configuration: its fields, `wandb_sweep_config` and `get_wandb_sweep_context`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from typing_extensions import TypedDict, Unpack
from wandb_artifacts import InvalidValueError, check_entity, check_project
from wandb_runtime.config import validators
from wandb_runtime.config.context import ContextConfig, Field, TextField
from wandb_runtime.config.report import check_report

from wandb_sweeps._config import validation

if TYPE_CHECKING:
    from typing_extensions import Self

SCOPE_KEY = "_wandb_sweep_scope"
"""The key of the Flyte context that distinguishes `with wandb_sweep_config(...)` blocks."""

SweepMethod = Literal["grid", "random", "bayes"]
"""How W&B chooses the parameters of the next trial."""

OnExit = Literal["leave", "stop"]
"""The treatment of a sweep when the task that created it has returned."""

OnFailure = Literal["leave", "stop", "cancel"]
"""The treatment of a sweep when the task that created it has failed."""


class SweepOptions(TypedDict, total=False):
    """The keys of a W&B sweep configuration that are not parameters of `wandb_sweep_config`."""

    command: list[str] | tuple[str, ...] | None
    controller: Mapping[str, Any] | None
    description: str | None
    early_terminate: Mapping[str, Any] | None
    image_uri: str | None
    job: str | None
    program: str | None
    run_cap: int | None
    scheduler: Mapping[str, Any] | None


class SweepSettings(SweepOptions, total=False):
    """The keys of a W&B sweep configuration that are not parameters of `wandb_sweep`."""

    method: SweepMethod | None
    metric: Mapping[str, Any] | None
    name: str | None
    parameters: Mapping[str, Any] | None
    prior_runs: list[str] | tuple[str, ...] | None


def _check_run_cap(field: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidValueError(field, value, "must be a whole number of trials above 0")
    return value


class WandbSweepConfig(ContextConfig):
    """The settings of a W&B sweep, as returned by `wandb_sweep_config` and `get_wandb_sweep_context`.

    Immutable. Every setting is an attribute; it is None if it was not given. The object is also the `dict[str, str]`
    that Flyte carries: pass it as `custom_context`, unpack it into another dictionary, or use it in a `with` statement
    around calls of child tasks.
    """

    __slots__ = ()

    prefix: ClassVar[str] = "wandb_sweep_"
    function: ClassVar[str] = "wandb_sweep_config"

    method = TextField[SweepMethod](validators.one_of(*validation.METHODS))
    metric = Field[dict[str, Any]](validation.metric)
    parameters = Field[dict[str, Any]](validation.parameters)
    project = TextField[str](validators.from_function(check_project))
    entity = TextField[str](validators.from_function(check_entity))
    prior_runs = Field[list[str]](validators.string_list)
    name = TextField[str](validators.string)
    download_logs = Field[bool](validators.boolean)
    on_exit = TextField[OnExit](validators.one_of("leave", "stop"))
    on_failure = TextField[OnFailure](validators.one_of("leave", "stop", "cancel"))
    report = Field["bool | list[str]"](check_report)

    command = Field[list[str]](validators.string_list)
    controller = Field[dict[str, Any]](validation.controller)
    description = TextField[str](validators.string)
    early_terminate = Field[dict[str, Any]](validation.early_terminate)
    image_uri = TextField[str](validators.string)
    job = TextField[str](validators.string)
    program = TextField[str](validators.string)
    run_cap = Field[int](_check_run_cap)
    scheduler = Field[dict[str, Any]](validation.scheduler)

    def entered(self, effective: Self) -> dict[str, str]:
        """Return the context of a `with` block: decorated tasks called in it create a sweep, even below another one."""
        return {**effective, SCOPE_KEY: uuid.uuid4().hex}


def wandb_sweep_config(
    method: SweepMethod | None = None,
    metric: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    project: str | None = None,
    entity: str | None = None,
    prior_runs: list[str] | tuple[str, ...] | None = None,
    name: str | None = None,
    download_logs: bool | None = None,
    *,
    on_exit: OnExit | None = None,
    on_failure: OnFailure | None = None,
    report: bool | Sequence[str] | None = None,
    **kwargs: Unpack[SweepOptions],
) -> WandbSweepConfig:
    """Configure the W&B sweep of a Flyte run, or of the tasks called in a `with` block. None means "not given".

    Args:
        method: The search method: "grid", "random" or "bayes".
        metric: The metric to optimize: `{"name": "loss", "goal": "minimize"}`.
        parameters: The search space, as in W&B's sweep configuration.
        project: The W&B project of the sweep.
        entity: The user or team that owns the sweep.
        prior_runs: Ids of earlier runs that the search starts from.
        name: The display name of the sweep. Default: `{run name}-{action name}`.
        download_logs: Whether to download the files of the sweep's runs when its task has ended.
        on_exit: What happens to the sweep when its task has returned: "leave" or "stop" it. Default: stop it if it has
            trials and all of them have ended, so that a sweep whose agents run elsewhere continues.
        on_failure: What happens to the sweep when its task has failed: "leave" it, "stop" it (default) or "cancel" it.
        report: Whether the Flyte reports of tasks get a tab about the sweep; or the metrics to draw there over the
            trials, at most 12. Default: where the task has `report=True`.
        **kwargs: Other keys of W&B's sweep configuration: `early_terminate`, `description`, `command`, `run_cap`, ...

    Returns:
        The configuration, which is also a dictionary: for `flyte.with_runcontext(custom_context=...)`, for
        `{**wandb_config(...), **wandb_sweep_config(...)}`, or for `with wandb_sweep_config(...):` inside a task.

    Raises:
        InvalidValueError: A value is invalid, cannot be carried as JSON, or is a credential.
        SweepConfigError: W&B cannot search with `metric`, `parameters` or another section.
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
        report=report,
        **kwargs,
    )


def get_wandb_sweep_context() -> WandbSweepConfig:
    """Return the effective W&B sweep configuration of the current Flyte context.

    Returns:
        The configuration; an empty (falsy) one if none was given, and outside of tasks.
    """
    return WandbSweepConfig.current()
