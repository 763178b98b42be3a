"""A sweep in the time of a task that has it in force."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import flyte
from wandb_runtime import get_distributed_info
from wandb_runtime.lifecycle.process_lock import shared
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.shutdown import is_stopping
from wandb_runtime.tasks.threads import submit

from wandb_sweeps._agents import sdk_agent
from wandb_sweeps._lifecycle.logs import SweepLogs
from wandb_sweeps._lifecycle.planning import CreatePlan, JoinPlan, Surroundings, plan_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wandb_runtime.tasks.outputs import TraceOutput

    from wandb_sweeps._address import SweepAddress
    from wandb_sweeps._config.sweep import WandbSweepConfig
    from wandb_sweeps._lifecycle.planning import Plan
    from wandb_sweeps._server.manage import OwnSweep
    from wandb_sweeps._server.requests import SweepState

_logger = logging.getLogger("wandb_sweeps")

# Seconds for telling W&B what becomes of a sweep; a pod that is stopped is killed soon.
_FOR_ENDING = 30.0
_FOR_ENDING_WHEN_STOPPED = 8.0


@dataclass(frozen=True)
class SweepSession:
    """A sweep in use by one task; None: the task has none."""

    address: SweepAddress | None
    owned: tuple[CreatePlan, OwnSweep] | None = None
    """How and as what the task has created the sweep; None if a task above has."""
    _closing: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Makes the sweep the one of the code inside, of the tasks called there and of agents of the SDK."""
        carried = {} if self.address is None else self.address.to_context()
        atexit.register(self._close_at_exit)
        try:
            with flyte.custom_context(**carried), sdk_agent.at_home():
                yield
        finally:
            atexit.unregister(self._close_at_exit)

    def mark_preempting(self) -> None:
        """There is nothing to say: it is the agents, wherever they are, that run."""

    def close(self, exit_code: int) -> TraceOutput | None:
        """Does with the sweep what is wished for, once. Never raises: the body's outcome is what matters.

        Returns:
            What Flyte is to keep: the files of the sweep's runs, if they are wanted.
        """
        if self.owned is None or not self._closing.acquire(blocking=False):
            return None
        plan, own = self.owned
        self._end(plan, own, exit_code, _in_time)
        if not plan.downloads_logs:
            return None
        logs = SweepLogs(str(own.address.ref), own.address.host)
        if is_stopping():
            logs.report_skipped("the task is being stopped")
            return None
        return logs

    def _close_at_exit(self) -> None:
        """When the process ends with the body running, as on Ctrl-C in local mode. No thread can be started then."""
        if self.owned is not None and self._closing.acquire(blocking=False):
            self._end(*self.owned, 1, lambda ending: ending())

    def _end(self, plan: CreatePlan, own: OwnSweep, exit_code: int, run: Callable[[Callable[[], None]], None]) -> None:
        has_failed = exit_code != 0
        state = state_after(plan, has_failed=has_failed)
        if state is None:
            return
        from wandb_sweeps._server import manage

        try:
            run(functools.partial(manage.end, own, state, has_failed=has_failed))
        except (Exception, FutureTimeoutError) as error:  # noqa: BLE001
            _logger.error(
                "W&B sweep %s goes on, although it was to be ended with its task (%s: %s). Stop it there: %s",
                own.address.id,
                type(error).__name__,
                error,
                own.address.ref.url,
            )


def _in_time(ending: Callable[[], None]) -> None:
    submit(ending).result(_FOR_ENDING_WHEN_STOPPED if is_stopping() else _FOR_ENDING)


def state_after(plan: CreatePlan, *, has_failed: bool) -> SweepState | None:
    """The state that a sweep is to have after its task; None: the one it has."""
    wish = plan.on_failure if has_failed else plan.on_exit
    states: dict[str, SweepState] = {"stop": "FINISHED", "cancel": "CANCELED"}
    return states.get(wish)


def start_sweep(settings: WandbSweepConfig) -> SweepSession:
    """Create or join the sweep of a call of a decorated task.

    Args:
        settings: The decorator's arguments.

    Raises:
        SweepCreateError: The sweep could not be created.
    """
    return start(functools.partial(_plan, settings))


def _plan(settings: WandbSweepConfig) -> Plan:
    ranks = get_distributed_info()
    around = Surroundings(
        context=flyte.get_custom_context() if flyte.ctx() else {},
        environment=os.environ,
        task=current_task(),
        is_first_rank=ranks is None or ranks["rank"] == 0,
    )
    return plan_sweep(settings, around)


def start(plan: Callable[[], Plan]) -> SweepSession:
    """Creates or joins the sweep of a plan.

    Args:
        plan: Makes the plan. Called again when the environment is the process's own, if it matters for the plan.

    Raises:
        SweepCreateError: The sweep could not be created.
    """
    planned = plan()
    # Here, off the event loop, rather than where the body starts.
    sdk_agent.load()
    if isinstance(planned, CreatePlan):
        with shared():
            planned = plan()
            if isinstance(planned, CreatePlan):
                return _create(planned)
    return SweepSession(planned.address if isinstance(planned, JoinPlan) else None)


def _create(plan: CreatePlan) -> SweepSession:
    # Imports wandb.
    from wandb_sweeps._server import manage

    own = manage.create_or_find(plan)
    return SweepSession(own.address, (plan, own))
