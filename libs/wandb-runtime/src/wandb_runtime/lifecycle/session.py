"""The session of a W&B run: open or join it as planned, and close it. Everything that waits blocks."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import flyte

from wandb_runtime._errors import DecoratorOrderError, RunOpenError, UnavailableError
from wandb_runtime.config.context import flyte_context
from wandb_runtime.config.report import ReportRequest
from wandb_runtime.config.run import WandbConfig
from wandb_runtime.lifecycle import open_runs, process_lock
from wandb_runtime.lifecycle.branching import continue_branch, remember_branch
from wandb_runtime.lifecycle.current import activate, current_run
from wandb_runtime.lifecycle.finish import finish_for_download, finish_run
from wandb_runtime.lifecycle.hints import hint_at_own_init, hint_at_project
from wandb_runtime.lifecycle.joining import add, add_as_writer, restore_tags, update_config
from wandb_runtime.lifecycle.live_run import LiveRun
from wandb_runtime.lifecycle.opening import (
    allow_config_changes,
    connection_for,
    describe_action,
    open_run,
    prepare_for_outage,
)
from wandb_runtime.lifecycle.planning import plan_run
from wandb_runtime.lifecycle.plans import JoinPlan, NoRunPlan, OpenPlan, Plan, PlanningContext, RunLocation, WriterPlan
from wandb_runtime.lifecycle.sweep_trials import TRIAL_KEY, AssignedTrial
from wandb_runtime.tasks.action import current_task, is_task_function
from wandb_runtime.tasks.call_graph import can_be_joined
from wandb_runtime.tasks.distributed import get_distributed_info, is_launched
from wandb_runtime.tasks.inputs import inputs_of
from wandb_runtime.tasks.shutdown import is_stopping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb import Run
    from wandb_artifacts.client import Connection

    from wandb_runtime.tasks.decorating import Call, Decoration
    from wandb_runtime.tasks.outputs import TraceOutput

_logger = logging.getLogger("wandb_runtime")

_TIMEOUT_WHEN_STOPPING = 5.0


class Role(Enum):
    """The responsibility of a session for the end of its run."""

    GUEST = "shares an open run and does not close it"
    WRITER = "closes its connection to a run that another process finishes"
    OPENER = "finishes the run"


@dataclass(frozen=True)
class RunSession:
    """A run in use by one function."""

    run: LiveRun
    location: RunLocation
    role: Role
    connection: Connection | None = None
    """How the run's server is reached, for requests beside those of the run itself; None for a guest."""
    tags: tuple[str, ...] = ()
    """The tags that the function has added to a run of another process."""
    downloads_logs: bool = False
    """Whether the run's files are downloaded when it has finished."""
    report: ReportRequest | None = None
    """The requested tab of the task's Flyte report."""
    is_trial: bool = False
    """Whether the run is a trial that Flyte retries: W&B must not give it to another agent."""
    _closing: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make the run the current one of the code inside, and hand its location to the tasks called there."""
        carried = self.location.to_context()
        if flyte_context().get(TRIAL_KEY):
            # The tasks called there are not the trial.
            carried[TRIAL_KEY] = ""
        with activate(self.run, self.location, self.connection), flyte.custom_context(**carried):
            yield

    def mark_preempting(self) -> None:
        """Mark the run as preempting: the platform is about to stop the process. Never raises."""
        if self.role is Role.OPENER and not self.is_trial:
            with contextlib.suppress(Exception):
                self.run.run.mark_preempting()

    def close(self, exit_code: int) -> TraceOutput | None:
        """Close what the session has to close, once. Never raises: the body's result must not be lost.

        Returns:
            What Flyte should store: the local copy of the run, if it has data that W&B may lack; the run's files, if
            they were requested.
        """
        if not self._closing.acquire(blocking=False):
            return None
        if self.report is None:
            return self._close(exit_code)
        # Imported where a report is made: most tasks make none.
        from wandb_runtime.report.run import reported

        with reported(self.run.run, self.connection, self.report, exit_code):
            return self._close(exit_code)

    def _close(self, exit_code: int) -> TraceOutput | None:
        if self.role is Role.GUEST:
            return None
        if self.role is Role.WRITER:
            return self._close_writer(exit_code)
        open_runs.remove(self.location)
        run = self.run.get_for_closing(exit_code)
        if self.downloads_logs:
            return finish_for_download(run, exit_code, self.connection)
        return finish_run(run, exit_code, verify_by=self.connection)

    def _close_writer(self, exit_code: int) -> TraceOutput | None:
        if self.tags:
            with contextlib.suppress(RunOpenError):  # it was logged
                restore_tags(self.run.get(), self.connection, self.tags)
        # A writer's exit code is not that of the run: one that has ended has nothing left to do.
        return open_runs.release(self.location, lambda run: None if run.has_ended else finish_run(run.run, exit_code))


class NullSession:
    """The session of a process that has no run."""

    def active(self) -> contextlib.AbstractContextManager[None]:
        """Let the code inside find no run, and open none."""
        return activate(None, None)

    def mark_preempting(self) -> None:
        """Do nothing."""

    def close(self, exit_code: int) -> TraceOutput | None:  # noqa: ARG002 - as RunSession
        """Do nothing."""
        return None


def start_run(decoration: Decoration[WandbConfig], call: Call) -> RunSession | NullSession:
    """Open or join the run of a call of a decorated function.

    Args:
        decoration: What the function carries.
        call: The call.

    Raises:
        RunOpenError: The run could not be opened.
        NoParentRunError: The run has to be shared, but no run can be shared.
        DecoratorOrderError: The decorator is below `@env.task`.
    """
    if decoration.short_name is not None:
        hint_at_own_init(call.function)
    report = _requested_report(decoration)
    with process_lock.shared():
        session = start(plan_call(decoration, call))
    return replace(session, report=report) if isinstance(session, RunSession) else session


def _requested_report(decoration: Decoration[WandbConfig]) -> ReportRequest | None:
    if decoration.short_name is None or current_task() is None or current_run() is not None:
        # Called as a function: the Flyte report is that of another task.
        return None
    info = get_distributed_info()
    if info is not None and info["rank"] != 0:
        # All ranks would write the one report file of the task.
        return None
    effective = WandbConfig.from_context(flyte_context()).values_under(decoration.settings)
    return ReportRequest.of(effective.get("report"), has_report=decoration.has_report)


def plan_call(decoration: Decoration[WandbConfig], call: Call) -> Plan:
    """Plan the run of a call of a decorated function, in the surrounding process and Flyte action."""
    task = current_task()
    is_task = decoration.short_name is not None
    if not is_task and task is not None and is_task_function(call.function):
        name = call.function.__qualname__
        msg = f"@wandb_init is below @env.task on {name!r}; put it above, as the outermost decorator"
        raise DecoratorOrderError(msg)
    here = current_run()
    if here is not None and here.run is None:
        return NoRunPlan()
    if not is_task or here is not None:
        # A task that is called as a function, by forward() or outside Flyte, is one.
        task = None
    context = flyte_context()
    trial = AssignedTrial.from_context(context) if task else None
    if trial is not None:
        context = trial.context(context)
    inherited = here.location if here is not None else RunLocation.from_context(context) if task else None
    planning_context = PlanningContext(
        config=WandbConfig.from_context(context),
        environment=os.environ,
        task=task,
        short_name=decoration.short_name,
        inherited=inherited,
        is_open_in_process=open_runs.find(inherited) is not None,
        # Locally children are in this process, and a launcher's processes can call none.
        can_be_joined=task is not None
        and not task.is_local
        and not is_launched(os.environ)
        and can_be_joined(call.function),
        ranks=get_distributed_info() if task is not None else None,
        read_inputs=functools.partial(inputs_of, call),
        trial=trial,
    )
    return plan_run(decoration.settings, planning_context)


def start(plan: Plan) -> RunSession | NullSession:
    """Open or join the run of a plan.

    Raises:
        RunOpenError: The run could not be opened.
    """
    if isinstance(plan, NoRunPlan):
        return NullSession()
    if isinstance(plan, JoinPlan):
        return _join(plan)
    try:
        return _write(plan) if isinstance(plan, WriterPlan) else _open(plan)
    except UnavailableError as error:
        if plan.fallback is None:
            raise
        _logger.warning("%s. Continuing offline", error)
        return _open(plan.fallback)


def _join(plan: JoinPlan) -> RunSession:
    run = open_runs.find(plan.location)
    if run is None:
        msg = f"W&B run {plan.location.id!r} was closed before this task could join it; await the tasks you call"
        raise RunOpenError(msg)
    add(plan.update, run.get())
    allow_config_changes(run.run)
    return RunSession(run, plan.location, Role.GUEST)


def _write(plan: WriterPlan) -> RunSession:
    location = plan.location
    known = {"entity": location.entity, "project": location.project}
    init = {"id": location.id, "mode": "shared", **{name: value for name, value in known.items() if value}}
    connection = connection_for(plan.settings)

    run = open_runs.acquire(location, lambda: _open_live(init, init, plan.settings, connection))
    session = RunSession(run, location, Role.WRITER, connection, plan.update.tags)
    try:
        add_as_writer(plan.update, run.get(), connection)
    except BaseException:
        session.close(1)
        raise
    return session


def _open(plan: OpenPlan) -> RunSession:
    if plan.notice:
        _logger.warning(plan.notice)
    connection = connection_for(plan.settings)
    init = continue_branch(plan.init, plan.task, connection)
    live = _open_live(init, plan.init_again, plan.settings, connection)
    remember_branch(init, plan.task)
    run = live.run
    location = RunLocation(
        id=run.id,
        entity=run.entity or None,
        project=run.project or None,
        host=run.settings.base_url,
        mode=run.settings.mode,
        group=run.group or None,
    )
    hint_at_project(run, init)
    if plan.fallback is not None:
        prepare_for_outage(run)
    open_runs.add(location, live)
    downloads_logs = _can_download_logs(plan)
    session = RunSession(live, location, Role.OPENER, connection, downloads_logs=downloads_logs, is_trial=plan.is_trial)
    try:
        if plan.metadata is not None:
            describe_action(run, plan.metadata)
        if plan.inputs is not None:
            update_config(run, {"inputs": plan.inputs})
    except BaseException:
        session.close(1)
        raise
    return session


def _open_live(
    init: Mapping[str, Any], init_again: Mapping[str, Any], settings: Mapping[str, Any], connection: Connection
) -> LiveRun:
    """Open a run, and prepare to open it again with its id and other arguments."""
    run = open_run(init, settings, connection)
    known = {"id": run.id, "entity": run.entity, "project": run.project, "dir": run.settings.root_dir}

    def reopen() -> Run:
        limits = {"init_timeout": _TIMEOUT_WHEN_STOPPING} if is_stopping() else {}
        with process_lock.shared():
            return open_run({**init_again, **known}, {**settings, **limits}, connection)

    return LiveRun(run, reopen, open_runs.show)


def _can_download_logs(plan: OpenPlan) -> bool:
    """Whether to download the run's files; warns where they are requested but cannot be stored."""
    if plan.downloads_logs and is_launched(os.environ):
        _logger.warning(
            "download_logs=True: Flyte accepts no files from the processes of a distributed task; download those of "
            "W&B run %s in the parent task",
            plan.init.get("id"),
        )
        return False
    return plan.downloads_logs
