"""The decision which W&B run a task opens or joins; nothing else decides.

Pure functions of plain values. The rules are the table in the documentation of `wandb_init`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wandb_runtime._errors import NoParentRunError
from wandb_runtime.lifecycle.plans import (
    OFFLINE_MODES,
    JoinPlan,
    NoRunPlan,
    OpenPlan,
    Plan,
    PlanningContext,
    RunLocation,
    RunUpdate,
    WriterPlan,
)
from wandb_runtime.lifecycle.rank_layout import RankLayout, layout_for, modes_of, separate_run_layout

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
        "on_unavailable",
        "rank_scope",
        "reinit",
        "run_mode",
        "settings",
    }
)
_RESUME_ARGUMENTS = frozenset({"resume", "resume_from", "fork_from"})
_FINISH_TIMEOUT = 600.0
# Whole seconds. With W&B's default of 15 s a killed pod would lose as much.
_FLUSH_INTERVALS = {"x_file_stream_transmit_interval": 1, "x_transaction_log_flush_interval": 1}
_SECOND_WRITER = {
    "x_primary": False,
    # By default W&B marks a run as finished when any of its writers ends.
    "x_update_finish_state": False,
}

_NO_PARENT = (
    'run_mode="shared": no W&B run can be shared, because no task above this one has @wandb_init. Decorate the '
    'parent task, or use run_mode="auto", which then opens a run'
)
_ONE_WRITER = (
    "{requested}: the parent's W&B run {id!r} accepts no second writer. Give the parent task "
    '@wandb_init(mode="shared"), or use run_mode="auto", which opens a separate run'
)
_NO_TASK_FOR_LOGS = (
    "download_logs=True has no effect on a function that is not called as a Flyte task, because only tasks have "
    "outputs. download_wandb_run_dir() downloads its run to a folder"
)
_SEPARATE_RUN = (
    "The parent task's W&B run {parent!r} accepts no second writer: this task opens a separate run in group {group!r}. "
    'For one run of both, give the parent task @wandb_init(mode="shared")'
)


Settings = Mapping[str, Any]
"""The effective settings that were given, by name."""


@dataclass(frozen=True)
class _Inputs:
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

    def separate(self) -> _Inputs:
        """Return the inputs for a run that only this process writes to."""
        ranks = self.context.ranks
        if ranks is None or self.layout.label is None:
            return self
        return replace(self, layout=separate_run_layout(ranks, modes_of(self.effective)[1]))


def plan_run(decorator: WandbConfig, context: PlanningContext) -> Plan:
    """Decide which run a decorated function opens or joins.

    Args:
        decorator: The decorator's arguments.
        context: What the function finds where it is called.

    Raises:
        NoParentRunError: `run_mode="shared"` without a run to share; or the decorator names the parent's run,
            which accepts no second writer.
    """
    effective: Settings = context.config.values_under(decorator)
    layout = layout_for(context.ranks, effective)
    if layout is None:
        return NoRunPlan()
    run_mode, parent = effective.get("run_mode"), context.inherited
    if run_mode == "new" or parent is None or (decorator.id or parent.id) != parent.id:
        if run_mode == "shared" and parent is None and context.ranks is None:
            raise NoParentRunError(_NO_PARENT)
        return _plan_own_run(_Inputs(decorator, effective, context, layout))
    inputs = _Inputs(decorator, effective, context, layout, parent)
    if context.is_open_in_process and (not context.is_remote or parent.is_shared):
        return JoinPlan(parent, _update(inputs))
    if context.is_remote and parent.is_shared:
        return _plan_writer(inputs, parent)
    if parent.is_online and (run_mode == "shared" or decorator.id == parent.id):
        requested = 'run_mode="shared"' if run_mode == "shared" else f"id={decorator.id!r}"
        raise NoParentRunError(_ONE_WRITER.format(requested=requested, id=parent.id))
    return _plan_own_run(inputs)


def _update(inputs: _Inputs) -> RunUpdate:
    tags = tuple(inputs.effective.get("tags", ()))
    return RunUpdate(inputs.decorator.config or {}, inputs.context.config.config or {}, tags)


def _plan_writer(inputs: _Inputs, parent: RunLocation) -> WriterPlan:
    """Plan to write to the parent's shared run."""
    settings = {**_settings(inputs), **_SECOND_WRITER}
    if parent.host:
        settings["base_url"] = parent.host
    settings.setdefault("x_label", inputs.context.writer_label)
    return WriterPlan(parent, _update(inputs), settings, _offline_fallback(inputs))


def _plan_own_run(inputs: _Inputs) -> OpenPlan | WriterPlan:
    """Plan a run that is the task's own, which its ranks may share."""
    if inputs.layout.label is not None and not _can_share(inputs):
        inputs = inputs.separate()
    plan = _plan_open(inputs)
    plan = replace(plan, fallback=_offline_fallback(inputs, plan))
    if inputs.layout.is_primary:
        return plan
    location = RunLocation(
        id=plan.init["id"],
        entity=plan.init.get("entity"),
        project=plan.init.get("project"),
        host=plan.host,
        mode="shared",
    )
    return WriterPlan(location, RunUpdate({}, {}, ()), {**plan.settings, **_SECOND_WRITER}, plan.fallback)


def _can_share(inputs: _Inputs) -> bool:
    """Whether the ranks of the task can write to one run."""
    # Locally each process of a launcher is a separate Flyte run: they have an id in common only if one was given.
    has_common_id = inputs.context.is_remote or inputs.decorator.id is not None or inputs.context.config.id is not None
    return has_common_id and inputs.effective_mode not in OFFLINE_MODES


def _offline_fallback(inputs: _Inputs, plan: OpenPlan | None = None) -> OpenPlan | None:
    """Plan for W&B being unavailable: an offline run of this process alone.

    Args:
        inputs: The inputs of the decision.
        plan: The plan that may fail, if it opens a run.
    """
    if inputs.effective.get("on_unavailable") != "offline":
        return None
    if plan is None or inputs.layout.label is not None:
        plan = _plan_open(inputs.separate())
    return replace(plan, init={**plan.init, "mode": "offline"}, notice=None)


def _plan_open(inputs: _Inputs) -> OpenPlan:
    """Plan the opening of a run, without a fallback."""
    context = inputs.context
    init, settings = _init_arguments(inputs), _settings(inputs)
    if context.is_remote or inputs.layout.label is not None:
        mode = inputs.effective_mode
        if inputs.layout.label is not None or (mode is None and context.can_be_joined):
            mode = init["mode"] = "shared"
        if mode == "shared":
            settings.setdefault("x_label", inputs.layout.label or context.writer_label)
    return OpenPlan(
        init=init,
        settings=settings,
        metadata=None if inputs.effective.get("flyte_metadata") is False else _metadata(context),
        downloads_logs=context.task is not None and inputs.effective.get("download_logs", False),
        notice=_notice(inputs, init.get("group")),
    )


def _notice(inputs: _Inputs, group: str | None) -> str | None:
    if inputs.parent is not None and inputs.parent.is_online:
        return _SEPARATE_RUN.format(parent=inputs.parent.id, group=group)
    return _NO_TASK_FOR_LOGS if inputs.context.task is None and inputs.decorator.download_logs else None


def _init_arguments(inputs: _Inputs) -> dict[str, Any]:
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
    base = new_run_id(inputs.decorator.id, context.config.id, context.task)
    if base is not None:
        init["id"] = f"{base}{inputs.layout.id_suffix}"
    if inputs.mode is not None:
        init["mode"] = inputs.mode
    if context.task is not None:
        _add_task_defaults(init, inputs, context.task, base)
    return init


def _add_task_defaults(init: dict[str, Any], inputs: _Inputs, task: TaskIdentity, base: str | None) -> None:
    """Add what a run of a task has unless the user gives something else."""
    layout, parent, environment = inputs.layout, inputs.parent, inputs.context.environment
    group = (parent and parent.group) or task.run_name
    if layout.group_suffix is not None:
        group = f"{base}{layout.group_suffix}"
    if group and "group" not in init and not _has(environment, "WANDB_RUN_GROUP"):
        init["group"] = group
    job_type = inputs.context.short_name
    if job_type and "job_type" not in init and not _has(environment, "WANDB_JOB_TYPE"):
        init["job_type"] = job_type
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


def _settings(inputs: _Inputs) -> dict[str, Any]:
    """Return the `settings` argument of `wandb.init()`."""
    effective, context = inputs.effective, inputs.context
    # By default W&B waits for ever, and does not report when it gave up.
    settings: dict[str, Any] = {"finish_timeout_raises": True}
    defaults: dict[str, Any] = {"finish_timeout": _FINISH_TIMEOUT}
    if context.is_remote:
        defaults |= _FLUSH_INTERVALS
    if context.task is not None and not context.task.has_own_process:
        # W&B captures the console of the whole process: the runs of parallel tasks would get each other's lines.
        defaults["console"] = "off"
    settings |= {name: value for name, value in defaults.items() if not _is_set(name, context.environment)}
    if "finish_timeout" in effective:
        settings["finish_timeout"] = effective["finish_timeout"]
    if "host" in effective:
        settings["base_url"] = effective["host"]
    return {**settings, **effective.get("settings", {})}


def _is_set(setting: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment gives one of W&B's settings; those that start with `x_` have two spellings."""
    if setting.startswith("x_") and _has(environment, f"WANDB_{setting.removeprefix('x').upper()}"):
        return True
    return _has(environment, f"WANDB_{setting.upper()}")


def _has(environment: Mapping[str, str], variable: str) -> bool:
    """Whether a variable is set and not empty. `os.environ.get` takes five times as long for a missing one."""
    return variable in environment and bool(environment[variable])


def _metadata(context: PlanningContext) -> dict[str, Any] | None:
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
