"""Which sweep a task joins or creates: the one place that decides. Pure functions of plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_runtime import WandbConfig

from wandb_sweeps._address import SweepAddress
from wandb_sweeps._config.sweep import SCOPE_KEY, WandbSweepConfig
from wandb_sweeps._config.validation import problems_of, with_distributions
from wandb_sweeps._errors import NoSweepConfigError, SweepConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_runtime.tasks.action import TaskIdentity

    from wandb_sweeps._config.sweep import OnExit, OnFailure

# Fields of the configuration that are no part of what W&B calls a sweep configuration.
_NOT_SENT = frozenset({"download_logs", "entity", "on_exit", "on_failure", "prior_runs", "project"})


@dataclass(frozen=True)
class Surroundings:
    """What a decorated task finds where it is called."""

    context: Mapping[str, str]
    """The Flyte context."""
    environment: Mapping[str, str]
    task: TaskIdentity | None = None
    """The Flyte action; None outside Flyte."""
    is_first_rank: bool = True
    """Whether it is the first, or the only, process of its task."""


@dataclass(frozen=True)
class JoinPlan:
    """Use the sweep of a task above."""

    address: SweepAddress


@dataclass(frozen=True)
class CreatePlan:
    """Create a sweep, or find the one that an earlier attempt has created."""

    config: Mapping[str, Any]
    """As `wandb.sweep()` takes it."""
    prior_runs: tuple[str, ...]
    entity: str | None
    project: str | None
    host: str | None
    marker: str | None
    """What tells this action's sweep from all others, independent of its name; None outside Flyte."""
    may_exist: bool
    """Whether an earlier attempt of the action may have created it."""
    made_from: str
    on_exit: OnExit
    on_failure: OnFailure
    downloads_logs: bool

    @property
    def name(self) -> str | None:
        """What W&B shows as the name of the sweep."""
        name: str | None = self.config.get("name")
        return name

    @property
    def description(self) -> str | None:
        """The user's own, with the marker as the last line."""
        parts = [part for part in (self.config.get("description"), self.marker) if part]
        return "\n\n".join(parts) or None


@dataclass(frozen=True)
class SilentPlan:
    """Have no sweep: this process of a distributed task is not the one that creates it."""


Plan = JoinPlan | CreatePlan | SilentPlan


def plan_sweep(decorator: WandbSweepConfig, around: Surroundings) -> Plan:
    """Decides which sweep a decorated task joins or creates.

    Args:
        decorator: The decorator's arguments.
        around: What the task finds where it is called.

    Raises:
        NoSweepConfigError: There is neither a sweep nor a configuration.
        SweepConfigError: W&B could not search by the configuration.
    """
    inherited = sweep_to_join(decorator, around.context)
    if inherited is not None:
        return JoinPlan(inherited)
    if not around.is_first_rank:
        return SilentPlan()
    configured = WandbSweepConfig.from_context(around.context)
    effective = configured.merged(decorator)
    values = configured.values_under(decorator)
    config: dict[str, Any] = {name: value for name, value in values.items() if name not in _NOT_SENT}
    if config.keys() <= {"name", "description"}:
        raise NoSweepConfigError(_NO_CONFIG)
    if problems := problems_of(config):
        raise SweepConfigError(problems)
    task = around.task
    if task is not None:
        config.setdefault("name", f"{task.run_name}-{task.action_name}")
    config = with_distributions(config)
    run = WandbConfig.from_context(around.context)
    return CreatePlan(
        config=config,
        prior_runs=tuple(effective.prior_runs or ()),
        entity=effective.entity or run.entity or around.environment.get("WANDB_ENTITY"),
        project=effective.project or run.project or around.environment.get("WANDB_PROJECT"),
        host=run.host or around.environment.get("WANDB_BASE_URL"),
        marker=None if task is None else marker_of(task, config),
        may_exist=task is not None and task.attempt != 0,
        made_from=fingerprint(around.context),
        on_exit=effective.on_exit or "leave",
        on_failure=effective.on_failure or "stop",
        downloads_logs=effective.download_logs or False,
    )


_NO_CONFIG = (
    "@wandb_sweep: no sweep configuration. Give one to the run, "
    "flyte.with_runcontext(custom_context=wandb_sweep_config(method=..., parameters=...)), or to the tasks called in "
    "`with wandb_sweep_config(...):`"
)


def sweep_to_join(decorator: WandbSweepConfig, context: Mapping[str, str]) -> SweepAddress | None:
    """The sweep of a task above that a task uses; None where it has one of its own.

    Args:
        decorator: The decorator's arguments; with `parameters` among them the task has a sweep of its own.
        context: The Flyte context the task finds; a configuration in it that is nearer than the sweep makes a new one.
    """
    inherited = SweepAddress.from_context(context)
    if inherited is None or inherited.made_from != fingerprint(context) or decorator.parameters is not None:
        return None
    return inherited


def fingerprint(context: Mapping[str, str]) -> str:
    """What tells whether two tasks find the same sweep configuration: entered once, not twice with equal values."""
    carried = {**WandbSweepConfig.from_context(context), SCOPE_KEY: context.get(SCOPE_KEY, "")}
    return _digest(carried, 16)


def marker_of(task: TaskIdentity, config: Mapping[str, Any]) -> str:
    """The line in a sweep's description by which the next attempt of an action finds it.

    Args:
        task: The action.
        config: The configuration: a task that is called as a function can make an action create two sweeps.
    """
    action = "/".join(filter(None, (task.project, task.domain, task.run_name, task.action_name)))
    return f"flyte:{action}#{_digest(config, 8)}"


def _digest(value: Mapping[str, Any], length: int) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:length]
