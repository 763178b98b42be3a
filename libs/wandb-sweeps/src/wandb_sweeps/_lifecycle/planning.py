"""The decision which sweep a decorated task joins or creates: pure functions of plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_runtime import WandbConfig

from wandb_sweeps._config.search_space import with_distributions
from wandb_sweeps._config.sweep import SCOPE_KEY, WandbSweepConfig
from wandb_sweeps._config.validation import check_together
from wandb_sweeps._errors import NoSweepConfigError
from wandb_sweeps._location import SweepLocation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_runtime.tasks.action import TaskIdentity

    from wandb_sweeps._config.sweep import OnExit, OnFailure

# Fields that are not part of W&B's sweep configuration.
_NOT_SENT = frozenset({"download_logs", "entity", "on_exit", "on_failure", "prior_runs", "project", "report"})


@dataclass(frozen=True)
class CreatePlan:
    """Create a sweep, or find the one that an earlier attempt created."""

    config: Mapping[str, Any]
    """In the form of `wandb.sweep()`."""
    prior_runs: tuple[str, ...]
    entity: str | None
    project: str | None
    host: str | None
    settings: Mapping[str, Any] | None
    """The `settings` of the configuration of runs: proxies and headers of the connection."""
    marker: str | None
    """Identifies this action's sweep, independent of the sweep's name; None outside Flyte."""
    may_exist: bool
    """Whether an earlier attempt of the action may have created the sweep."""
    config_fingerprint: str
    on_exit: OnExit | None
    """None: stop the sweep if it has trials and all of them have ended."""
    on_failure: OnFailure
    downloads_logs: bool

    @property
    def name(self) -> str | None:
        """The display name of the sweep."""
        name: str | None = self.config.get("name")
        return name

    @property
    def description(self) -> str | None:
        """The user's description, with the marker as its last line."""
        parts = [part for part in (self.config.get("description"), self.marker) if part]
        return "\n\n".join(parts) or None


def plan_sweep(
    decorator: WandbSweepConfig,
    *,
    context: Mapping[str, str],
    environment: Mapping[str, str],
    task: TaskIdentity | None,
) -> CreatePlan:
    """Decide which sweep a task creates that joins none.

    Args:
        decorator: The decorator's arguments.
        context: The Flyte context.
        environment: The environment variables.
        task: The Flyte action; None outside Flyte.

    Raises:
        NoSweepConfigError: The context has no sweep configuration.
        SweepConfigError: W&B cannot search with the configuration.
    """
    configured = WandbSweepConfig.from_context(context)
    effective = configured.merged(decorator)
    config = _sweep_config(configured.values_under(decorator), task)
    run = WandbConfig.from_context(context)
    return CreatePlan(
        config=config,
        prior_runs=tuple(effective.prior_runs or ()),
        entity=effective.entity or run.entity or environment.get("WANDB_ENTITY"),
        project=effective.project or run.project or environment.get("WANDB_PROJECT"),
        host=run.host,
        settings=run.settings,
        marker=None if task is None else marker_of(task, config),
        may_exist=task is not None and task.attempt != 0,
        config_fingerprint=fingerprint(context),
        on_exit=effective.on_exit,
        on_failure=effective.on_failure or "stop",
        downloads_logs=effective.download_logs or False,
    )


def _sweep_config(values: Mapping[str, Any], task: TaskIdentity | None) -> dict[str, Any]:
    """Build the configuration that W&B receives."""
    config = {name: value for name, value in values.items() if name not in _NOT_SENT}
    if config.keys() <= {"name", "description"}:
        raise NoSweepConfigError(_NO_CONFIG)
    check_together(config)
    if task is not None:
        config.setdefault("name", f"{task.run_name}-{task.action_name}")
    return {**config, "parameters": with_distributions(config["parameters"])}


_NO_CONFIG = (
    "@wandb_sweep: no sweep configuration. Give one to the run, "
    "flyte.with_runcontext(custom_context=wandb_sweep_config(method=..., parameters=...)), or to the tasks called in "
    "`with wandb_sweep_config(...):`"
)


def sweep_to_join(decorator: WandbSweepConfig, context: Mapping[str, str]) -> SweepLocation | None:
    """Return the sweep of an ancestor task that a task joins; None if the task creates its own.

    Args:
        decorator: The decorator's arguments; a task whose decorator gives `parameters` creates its own sweep.
        context: The task's Flyte context; a configuration that is nearer than the sweep creates a new one.
    """
    inherited = SweepLocation.from_context(context)
    if inherited is None or inherited.config_fingerprint != fingerprint(context) or decorator.parameters is not None:
        return None
    return inherited


def fingerprint(context: Mapping[str, str]) -> str:
    """Return a value that two tasks share if they inherit the same sweep configuration.

    Configurations with equal values that were entered separately differ.
    """
    carried = {**WandbSweepConfig.from_context(context), SCOPE_KEY: context.get(SCOPE_KEY, "")}
    return _digest(carried, 16)


def marker_of(task: TaskIdentity, config: Mapping[str, Any]) -> str:
    """Return the line in a sweep's description by which the next attempt of an action finds the sweep.

    Args:
        task: The action.
        config: The configuration: an action can create two sweeps if it calls a decorated task as a function.
    """
    action = "/".join(filter(None, (task.project, task.domain, task.run_name, task.action_name)))
    return f"flyte:{action}#{_digest(config, 8)}"


def _digest(value: Mapping[str, Any], length: int) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:length]
