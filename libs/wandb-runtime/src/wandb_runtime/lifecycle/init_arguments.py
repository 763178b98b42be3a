"""Arguments of `wandb.init()` for a run to open: plain functions of plain values."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wandb_runtime.config.limits import shorten
from wandb_runtime.lifecycle.plans import PlanningContext, RunLocation
from wandb_runtime.lifecycle.rank_layout import RankLayout, modes_of, separate_run_layout

if TYPE_CHECKING:
    from wandb_runtime.config.run import WandbConfig
    from wandb_runtime.tasks.action import TaskIdentity

# Fields of the configuration that are not passed to wandb.init() as they are.
_NOT_FORWARDED = frozenset(
    {
        "download_logs",
        "finish_timeout",
        "flyte_metadata",
        "host",
        "id",
        "log_inputs",
        "on_unavailable",
        "rank_scope",
        "reinit",
        "report",
        "run_mode",
        "settings",
    }
)
_RESUME_ARGUMENTS = frozenset({"resume", "resume_from", "fork_from"})
_SHORT_ACTION = 6
_FINISH_TIMEOUT = 600.0
# Whole seconds. With W&B's default of 15 s a killed pod would lose as much.
FLUSH_INTERVALS = {"x_file_stream_transmit_interval": 1, "x_transaction_log_flush_interval": 1}


Settings = Mapping[str, Any]
"""The effective settings that were given, by name."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of one decision."""

    decorator: WandbConfig
    effective: Settings
    """The configuration in the context, overridden by the decorator's arguments."""
    context: PlanningContext
    layout: RankLayout
    parent: RunLocation | None = None
    """The parent's run, which the task joins if it can."""

    @property
    def mode(self) -> str | None:
        """The mode of the run to open, as far as the user or the parent's run decides it."""
        if (mode := self.effective.get("mode")) is not None:
            return str(mode)
        return self.parent.mode if self.parent is not None and not self.parent.is_online else None

    @property
    def effective_mode(self) -> str | None:
        """The mode of the run to open; that of the environment where nothing else decides it."""
        return self.mode or self.context.environment.get("WANDB_MODE")

    def separate(self) -> Inputs:
        """Return the inputs for a run that only this process writes to."""
        ranks = self.context.ranks
        if ranks is None or self.layout.label is None:
            return self
        return replace(self, layout=separate_run_layout(ranks, modes_of(self.effective)[1]))


def init_arguments(inputs: Inputs) -> dict[str, Any]:
    """Return the arguments of `wandb.init()`, apart from `settings`."""
    context = inputs.context
    init = {name: value for name, value in inputs.effective.items() if name not in _NOT_FORWARDED}
    if "config" in init:
        # The SDK and the body may change it.
        init["config"] = {
            key: copy.deepcopy(value) if isinstance(value, (dict, list)) else value
            for key, value in init["config"].items()
        }
    if context.is_trial:
        # W&B has chosen id, entity and project; wandb.init would warn about each that it ignores.
        return {name: value for name, value in init.items() if name not in ("entity", "project")}
    base = new_run_id(inputs.decorator.run_id, context.config.run_id, context.task)
    if "resume_from" in init and init["resume_from"].partition("?")[0] != base:
        # It is that of the top-level task: this one opens a separate run.
        del init["resume_from"]
    if base is not None:
        init["id"] = f"{base}{inputs.layout.id_suffix}"
    if inputs.mode is not None:
        init["mode"] = inputs.mode
    if context.task is not None:
        _add_task_defaults(init, inputs, context.task, base)
    if context.trial is not None:
        context.trial.apply_to(init)
    return init


def _add_task_defaults(init: dict[str, Any], inputs: Inputs, task: TaskIdentity, base: str | None) -> None:
    """Add what a run of a task has unless the user gives something else."""
    layout, parent, environment = inputs.layout, inputs.parent, inputs.context.environment
    group = (parent and parent.group) or task.run_name
    if layout.group_suffix is not None:
        group = f"{base}{layout.group_suffix}"
    if group and "group" not in init and not _has(environment, "WANDB_RUN_GROUP"):
        init["group"] = group
    short_name = inputs.context.short_name
    if short_name and "job_type" not in init and not _has(environment, "WANDB_JOB_TYPE"):
        init["job_type"] = shorten("job_type", short_name)
    # A later attempt keeps the name, which somebody may have changed in the app.
    if short_name and "name" not in init and not task.attempt and not _has(environment, "WANDB_NAME"):
        init["name"] = shorten("name", f"{short_name}-{task.action_name[:_SHORT_ACTION]}{layout.id_suffix}")
    # A retry of the action finds its run by the id and continues it.
    if init.keys().isdisjoint(_RESUME_ARGUMENTS):
        init["resume"] = "allow"


def new_run_id(own_id: str | None, configured_id: str | None, task: TaskIdentity | None) -> str | None:
    """Return the id of a run to open; None where W&B generates one.

    Deterministic for a task: a retry finds its run again, and a link names it before the task has started.

    Args:
        own_id: The decorator's id.
        configured_id: The id in the configuration: for the top-level task, or the stem of its children's ids.
        task: The action that opens the run; None for a plain function.
    """
    if own_id is not None or task is None:
        return own_id
    if configured_id is not None:
        return configured_id if task.is_top_level else f"{configured_id}-{task.action_name}"
    return f"{task.run_name}-{task.action_name}"


def init_settings(inputs: Inputs) -> dict[str, Any]:
    """Return the `settings` argument of `wandb.init()`."""
    effective, context = inputs.effective, inputs.context
    # By default W&B waits for ever, and does not report when it gave up.
    settings: dict[str, Any] = {"finish_timeout_raises": True}
    defaults: dict[str, Any] = {"finish_timeout": _FINISH_TIMEOUT}
    if context.is_remote:
        defaults |= FLUSH_INTERVALS
    if context.task is not None and not context.task.has_own_process:
        # W&B captures the console of the whole process: the runs of parallel tasks would get each other's lines.
        defaults["console"] = "off"
    settings |= {name: value for name, value in defaults.items() if not _is_set(name, context.environment)}
    if "finish_timeout" in effective:
        settings["finish_timeout"] = effective["finish_timeout"]
    if "host" in effective:
        settings["base_url"] = effective["host"]
    trial = context.trial.settings if context.trial is not None else {}
    return {**settings, **effective.get("settings", {}), **trial}


def _is_set(setting: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment gives one of W&B's settings; those that start with `x_` have two spellings."""
    if setting.startswith("x_") and _has(environment, f"WANDB_{setting.removeprefix('x').upper()}"):
        return True
    return _has(environment, f"WANDB_{setting.upper()}")


def _has(environment: Mapping[str, str], variable: str) -> bool:
    """Whether a variable is set and not empty. `os.environ.get` takes five times as long for a missing one."""
    return variable in environment and bool(environment[variable])


def action_metadata(context: PlanningContext) -> dict[str, Any] | None:
    """Return the description of the Flyte action for the run's config."""
    task = context.task
    if task is None:
        return None
    known = {
        "run": task.run_name,
        "action": task.action_name,
        "task": context.short_name,
        "project": task.project,
        "domain": task.domain,
        "version": task.version,
        "attempt": task.attempt,
        "url": task.url,
    }
    return {name: value for name, value in known.items() if value is not None}
