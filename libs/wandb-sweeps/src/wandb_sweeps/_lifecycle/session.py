"""The session of a sweep: create or join it as planned, and leave or end it after the task's body."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import flyte
from wandb_runtime import get_distributed_info
from wandb_runtime.config.report import ReportRequest
from wandb_runtime.lifecycle.process_lock import shared
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.outputs import DownloadedLogs
from wandb_runtime.tasks.shutdown import is_stopping
from wandb_runtime.tasks.threads import submit

from wandb_sweeps._agents import sdk_agent
from wandb_sweeps._config.sweep import WandbSweepConfig
from wandb_sweeps._lifecycle.planning import plan_sweep, sweep_to_join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from flyte.io import Dir
    from wandb_runtime.tasks.outputs import TraceOutput

    from wandb_sweeps._lifecycle.planning import CreatePlan
    from wandb_sweeps._location import SweepLocation
    from wandb_sweeps._server.api import SweepState
    from wandb_sweeps._server.manage import OwnSweep

_logger = logging.getLogger("wandb_sweeps")

# Seconds that the requests that end a sweep may take; a pod that is stopped is killed soon.
_END_TIMEOUT = 30.0
_END_TIMEOUT_WHEN_STOPPED = 8.0


@dataclass(frozen=True)
class SweepSession:
    """The use of a sweep by one task."""

    location: SweepLocation | None
    """None: the task has no sweep."""
    owned: tuple[CreatePlan, OwnSweep] | None = None
    """The sweep that the task created, and its plan; None if an ancestor created the sweep."""
    report: ReportRequest | None = None
    """The requested tab of the task's Flyte report."""
    _closing: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make the sweep the current one inside the block, for child tasks and the SDK's agents too."""
        carried = {} if self.location is None else self.location.to_context()
        atexit.register(self._close_at_exit)
        try:
            with flyte.custom_context(**carried), sdk_agent.wandb_agent_replaced():
                yield
        finally:
            atexit.unregister(self._close_at_exit)

    def mark_preempting(self) -> None:
        """Do nothing: only the agents' runs can be marked as preempting."""

    def close(self, exit_code: int) -> TraceOutput | None:
        """End the sweep as configured, once. Never raises: the body's outcome matters more.

        Returns:
            The files of the sweep's runs, if Flyte is to store them.
        """
        if not self._closing.acquire(blocking=False):
            return None
        if self.owned is not None:
            self._end(*self.owned, exit_code, _call_with_timeout)
        self._add_report(has_failed=exit_code != 0)
        return self._logs()

    def _add_report(self, *, has_failed: bool) -> None:
        if self.report is None or self.location is None:
            return
        # Imported where a report is made: most tasks make none.
        from wandb_sweeps._lifecycle.report import add_sweep_report
        from wandb_sweeps._server.lookup import current_connection

        connection = current_connection(self.location) if self.owned is None else self.owned[1].connection
        add_sweep_report(self.location, connection, self.report, has_failed=has_failed)

    def _logs(self) -> TraceOutput | None:
        if self.owned is None:
            return None
        plan, own = self.owned
        if not plan.downloads_logs:
            return None
        logs = SweepLogs(str(own.location.ref), own.location.host, own.connection)
        if is_stopping():
            logs.report_skipped("the task is being stopped")
            return None
        return logs

    def _close_at_exit(self) -> None:
        """End the sweep when the process exits during the body, as on Ctrl-C in local mode."""
        if self.owned is not None and self._closing.acquire(blocking=False):
            # No thread can be started any more.
            self._end(*self.owned, 1, lambda call: call(is_exiting=True))

    def _end(self, plan: CreatePlan, own: OwnSweep, exit_code: int, run: Callable[[Callable[..., None]], None]) -> None:
        has_failed = exit_code != 0
        state = state_after(plan, has_failed=has_failed)
        if state is None:
            return
        needs_ended_trials = not has_failed and plan.on_exit is None
        from wandb_sweeps._server import manage

        try:
            run(functools.partial(manage.end, own, state, has_failed=has_failed, needs_ended_trials=needs_ended_trials))
        except (Exception, FutureTimeoutError) as error:  # noqa: BLE001
            _logger.error(
                "W&B sweep %s could not be stopped after its task, and continues (%s: %s). Stop it at %s",
                own.location.id,
                type(error).__name__,
                error,
                own.location.ref.url,
            )


def _call_with_timeout(call: Callable[..., None]) -> None:
    submit(call).result(_END_TIMEOUT_WHEN_STOPPED if is_stopping() else _END_TIMEOUT)


def state_after(plan: CreatePlan, *, has_failed: bool) -> SweepState | None:
    """Return the state to give a sweep after its task; None to leave it unchanged."""
    action = plan.on_failure if has_failed else plan.on_exit or "stop"
    states: dict[str, SweepState] = {"stop": "FINISHED", "cancel": "CANCELED"}
    return states.get(action)


def start_sweep(settings: WandbSweepConfig, *, has_report: bool = False) -> SweepSession:
    """Create or join the sweep of a call of a decorated task.

    Args:
        settings: The decorator's arguments.
        has_report: Whether the task has `report=True`.

    Raises:
        SweepCreateError: The sweep could not be created.
    """
    # Imported here, off the event loop, rather than where the body starts.
    sdk_agent.load()
    context = flyte.get_custom_context() if flyte.ctx() else {}
    inherited = sweep_to_join(settings, context)
    ranks = get_distributed_info()
    if ranks is not None and ranks["rank"] != 0:
        return SweepSession(inherited)
    effective = WandbSweepConfig.from_context(context).values_under(settings)
    report = ReportRequest.of(effective.get("report"), has_report=has_report)
    if inherited is not None:
        return SweepSession(inherited, report=report)
    # Imported on first use: tasks that join a sweep send no requests.
    from wandb_sweeps._server import manage

    # An agent of the SDK changes the environment while it runs.
    with shared():
        plan = plan_sweep(settings, context=context, environment=os.environ, task=current_task())
        own = manage.create_or_find(plan)
    return SweepSession(own.location, (plan, own), report)


@dataclass(frozen=True)
class SweepLogs(DownloadedLogs):
    """The files of a sweep's runs as a trace output: the option `download_logs`."""

    kind: ClassVar[str] = "sweep"
    logger: ClassVar[logging.Logger] = _logger

    def load_traces(self) -> ModuleType:
        """Import the module with the traces."""
        from wandb_sweeps._lifecycle import traces

        return traces

    def call(self, traces: ModuleType, attempt: str) -> Dir:
        """Call the trace of sync tasks."""
        stored: Dir = traces.download_wandb_sweep_logs_sync(self.name, self.host, attempt)
        return stored

    async def call_async(self, traces: ModuleType, attempt: str) -> Dir:
        """Call the trace of async tasks."""
        stored: Dir = await traces.download_wandb_sweep_logs(self.name, self.host, attempt)
        return stored
