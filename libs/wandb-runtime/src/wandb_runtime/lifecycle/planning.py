"""The decision which W&B run a task opens or joins; nothing else decides.

Pure functions of plain values. The rules are the table in the documentation of `wandb_init`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wandb_runtime._errors import NoParentRunError
from wandb_runtime.lifecycle.init_arguments import Inputs, action_metadata, init_arguments, init_settings
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
from wandb_runtime.lifecycle.rank_layout import layout_for

if TYPE_CHECKING:
    from wandb_runtime.config.run import WandbConfig

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


def plan_run(decorator: WandbConfig, context: PlanningContext) -> Plan:
    """Decide which run a decorated function opens or joins.

    Args:
        decorator: The decorator's arguments.
        context: What the function finds where it is called.

    Raises:
        NoParentRunError: `run_mode="shared"` without a run to share; or the decorator names the parent's run,
            which accepts no second writer.
    """
    effective = context.config.values_under(decorator)
    layout = layout_for(context.ranks, effective)
    if layout is None:
        return NoRunPlan()
    run_mode, parent = effective.get("run_mode"), context.inherited
    if run_mode == "new" or parent is None or _opens_its_own(decorator, parent):
        if run_mode == "shared" and parent is None and context.ranks is None:
            raise NoParentRunError(_NO_PARENT)
        return _plan_own_run(Inputs(decorator, effective, context, layout))
    inputs = Inputs(decorator, effective, context, layout, parent)
    if context.is_open_in_process and (not context.is_remote or parent.is_shared):
        return JoinPlan(parent, _update(inputs))
    if context.is_remote and parent.is_shared:
        return _plan_writer(inputs, parent)
    if parent.is_online and (run_mode == "shared" or decorator.id == parent.id):
        requested = 'run_mode="shared"' if run_mode == "shared" else f"id={decorator.id!r}"
        raise NoParentRunError(_ONE_WRITER.format(requested=requested, id=parent.id))
    return _plan_own_run(inputs)


def _opens_its_own(decorator: WandbConfig, parent: RunLocation) -> bool:
    """Whether the decorator's arguments name another run than the parent's."""
    return decorator.fork_from is not None or (decorator.run_id or parent.id) != parent.id


def _update(inputs: Inputs) -> RunUpdate:
    tags = tuple(inputs.effective.get("tags", ()))
    return RunUpdate(inputs.decorator.config or {}, inputs.context.config.config or {}, tags)


def _plan_writer(inputs: Inputs, parent: RunLocation) -> WriterPlan:
    """Plan to write to the parent's shared run."""
    settings = {**init_settings(inputs), **_SECOND_WRITER}
    if parent.host:
        settings["base_url"] = parent.host
    settings.setdefault("x_label", inputs.context.writer_label)
    return WriterPlan(parent, _update(inputs), settings, _offline_fallback(inputs))


def _plan_own_run(inputs: Inputs) -> OpenPlan | WriterPlan:
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


def _can_share(inputs: Inputs) -> bool:
    """Whether the ranks of the task can write to one run."""
    # Locally each process of a launcher is a separate Flyte run: they have an id in common only if one was given.
    has_common_id = inputs.context.is_remote or inputs.decorator.id is not None or inputs.context.config.id is not None
    return has_common_id and inputs.effective_mode not in OFFLINE_MODES


def _offline_fallback(inputs: Inputs, plan: OpenPlan | None = None) -> OpenPlan | None:
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


def _plan_open(inputs: Inputs) -> OpenPlan:
    """Plan the opening of a run, without a fallback."""
    context = inputs.context
    init, settings = init_arguments(inputs), init_settings(inputs)
    if context.is_remote or inputs.layout.label is not None:
        mode = inputs.effective_mode
        if inputs.layout.label is not None or (mode is None and context.can_be_joined):
            mode = init["mode"] = "shared"
        if mode == "shared":
            settings.setdefault("x_label", inputs.layout.label or context.writer_label)
    return OpenPlan(
        init=init,
        settings=settings,
        task=context.task,
        metadata=None if inputs.effective.get("flyte_metadata") is False else action_metadata(context),
        downloads_logs=context.task is not None and inputs.effective.get("download_logs", False),
        inputs=context.read_inputs() if inputs.effective.get("log_inputs") else None,
        notice=_notice(inputs, init.get("group")),
        is_trial=context.trial is not None,
    )


def _notice(inputs: Inputs, group: str | None) -> str | None:
    if inputs.parent is not None and inputs.parent.is_online:
        return _SEPARATE_RUN.format(parent=inputs.parent.id, group=group)
    return _NO_TASK_FOR_LOGS if inputs.context.task is None and inputs.decorator.download_logs else None
