"""The controller of a fan-out of trials: it requests trials from W&B and runs each as an action."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import flyte
from wandb_runtime.lifecycle.sweep_trials import AssignedTrial
from wandb_runtime.tasks.shutdown import is_stopping
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._agents.agent import shielded
from wandb_sweeps._errors import SweepUnavailableError
from wandb_sweeps._results import Trial
from wandb_sweeps._server.agent_requests import HEARTBEAT_INTERVAL, UNFINISHED, AgentRequests, is_stop, parameters_of
from wandb_sweeps._trials.trial import SweepTrial

if TYPE_CHECKING:
    from wandb_sweeps._server.lookup import Sweep, SweepServer
    from wandb_sweeps._trials.binding import Binding

_logger = logging.getLogger("wandb_sweeps")

_GROUP = "sweep-trials"
# Seconds.
_IDLE_TIMEOUT = 600.0
_CLOSING_TIMEOUT = 5.0
_READ_INTERVAL = 0.5

STOPPED = "stopped by W&B"
_NO_RUN = "it opened no W&B run; is its W&B mode offline or disabled?"


@dataclass(frozen=True)
class Limits:
    """How many trials a fan-out runs."""

    num_trials: int | None
    max_parallel: int
    max_failures: int | None


@dataclass
class Controller:
    """A running fan-out."""

    binding: Binding
    sweep: Sweep
    server: SweepServer
    host: str
    """The host that W&B displays for its agents. It identifies the calling action, whose retry finds them by it."""
    limits: Limits
    is_local: bool
    trials: list[Trial] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _requesting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _created: set[str] = field(default_factory=set)
    """The ids of the agents that this attempt of the calling task has registered."""
    _started: int = 0
    _failures: int = 0
    _ended: str | None = None
    """Why no more trials are requested."""
    _outage: SweepUnavailableError | None = None

    async def run(self) -> None:
        """Run trials until W&B has no more, or a limit is reached.

        Raises:
            SweepUnavailableError: W&B is unreachable, and no trial has started.
        """
        earlier = await self._find_earlier()
        self._started = await self._count_ended(earlier) if self.is_local else 0
        count = self.limits.num_trials
        slots = [
            asyncio.ensure_future(self._run_slot())
            for _ in range(self.limits.max_parallel if count is None else min(self.limits.max_parallel, count))
        ]
        try:
            await asyncio.gather(*slots)
        finally:
            for slot in slots:
                slot.cancel()
            await asyncio.gather(*slots, return_exceptions=True)
        await self._close_lost(earlier)
        if self._outage is not None:
            if not self.trials:
                raise self._outage
            self.warnings.append(f"No more trials were requested: {self._outage}")
        reason = self._ended or "W&B has no more, or their number is reached"
        _logger.info("Sweep %s: %d trials have ended: %s", self.sweep.location.ref, len(self.trials), reason)

    async def _run_slot(self) -> None:
        """Run trials one after the other."""
        own: AgentRequests | None = None
        while True:
            try:
                number, assignment = await self._next_assignment(own)
            except _IdleError:
                self._ended = self._ended or "idle"
                return
            except SweepUnavailableError as error:
                self._ended, self._outage = self._ended or "unavailable", error
                return
            if assignment is None or "ended" in assignment:
                # The other agents find out themselves, after their trials: W&B learns thereby that these have ended.
                return
            # It may be that of an earlier attempt of the calling task, to which W&B sends the commands for the trial.
            # Such an agent requests no more: another slot may have another trial of it.
            agent = AgentRequests(self.sweep, self.server, assignment["agent_id"], f"trial-{number}")
            own = agent if agent.agent_id in self._created else None
            trial = self.assigned(assignment["run_id"], assignment["parameters"])
            await _Action(self, agent, number, trial).run()

    async def _next_assignment(self, agent: AgentRequests | None) -> tuple[int, dict[str, Any] | None]:
        """Return the number and the assignment of the next trial; None if a limit is reached."""
        # One at a time, so that the numbers have no gaps.
        async with self._requesting:
            limit = self.limits.num_trials
            if self._ended is not None or (limit is not None and self._started >= limit):
                return 0, None
            self._started += 1
            return self._started, await self._assign(self._started, agent)

    async def _assign(self, number: int, agent: AgentRequests | None) -> dict[str, Any]:
        """Return what W&B assigned as the trial of this number, in this attempt of the calling task or before."""
        token = _request.set(functools.partial(self._request, number, agent))
        try:
            assignment: dict[str, Any] = json.loads(await assign_trial(str(self.sweep.location.ref), number))
        finally:
            _request.reset(token)
        return assignment

    async def _request(self, number: int, agent: AgentRequests | None) -> dict[str, Any]:
        if agent is None:
            agent_id = await to_thread(lambda: self.server.create_agent(self.sweep.location, self.host))
            self._created.add(agent_id)
            agent = AgentRequests(self.sweep, self.server, agent_id, f"trial-{number}")
        command = await agent.next_trial(_IDLE_TIMEOUT)
        if command == "idle":
            raise _IdleError
        if isinstance(command, str):
            return {"ended": command}
        return {"agent_id": agent.agent_id, "run_id": command.run_id, "parameters": parameters_of(command)}

    def record(self, number: int, trial: Trial, error: str | None) -> None:
        """Record how a trial ended."""
        name = f"trial-{number}"
        self.trials.append(replace(trial, agent=name, error=error or ""))
        has_failed = error is not None and error != STOPPED
        self._failures = self._failures + 1 if has_failed else 0
        if error is not None and has_failed:
            self.errors[name] = error
            _logger.warning("Trial %s of sweep %s failed: %s", name, self.sweep.location.ref, error)
        limit = self.limits.max_failures
        if limit is not None and self._failures >= limit and self._ended is None:
            self._ended = "failures"
            self.warnings.append(f"No more trials were started after {limit} failures in a row")

    async def _find_earlier(self) -> list[str]:
        """Find the runs that W&B assigned to earlier attempts of the calling task."""
        try:
            return await to_thread(lambda: self.server.assigned_to(self.sweep.location, self.host))
        except SweepUnavailableError as error:
            _logger.warning("Trials of an earlier attempt are not looked for: %s", error)
            return []

    async def _count_ended(self, runs: list[str]) -> int:
        """Count the trials that have ended: in local mode Flyte does not store what W&B has assigned."""
        states = [(await self._reader().read_trial(run_id))[0] for run_id in runs]
        return sum(trial is not None and trial.state not in ("pending", *UNFINISHED) for trial in states)

    async def _close_lost(self, runs: list[str]) -> None:
        """End the runs that W&B assigned to an earlier attempt, which ended before it could start an action."""
        known = {trial.id for trial in self.trials}
        for run_id in runs:
            if run_id not in known:
                trial, is_known = await self._reader().read_trial(run_id)
                if is_known and trial is not None and trial.state in ("pending", *UNFINISHED):
                    await self.close(self.assigned(run_id, trial.config), 1)

    def _reader(self) -> AgentRequests:
        return AgentRequests(self.sweep, self.server, "", "")

    def assigned(self, run_id: str, parameters: dict[str, Any]) -> AssignedTrial:
        """Describe a trial for the task that is to open its run."""
        location = self.sweep.location
        return AssignedTrial(run_id, location.id, location.entity, location.project, location.host, parameters)

    async def close(self, trial: AssignedTrial, exit_code: int) -> None:
        """End the run of a trial whose action could not. Never raises."""
        from wandb_runtime.lifecycle.trial_endings import close_trial

        try:
            await to_thread(lambda: close_trial(trial, exit_code))
        except Exception:
            _logger.warning("W&B may show trial %s as running for a while", trial.run_id, exc_info=True)


@dataclass
class _Action:
    """The action of one trial."""

    controller: Controller
    agent: AgentRequests
    number: int
    trial: AssignedTrial

    @property
    def run_id(self) -> str:
        return self.trial.run_id

    async def run(self) -> None:
        """Run the action to its end, and record the trial."""
        call = asyncio.ensure_future(self._call())
        try:
            reason = await self._watch(call)
        except asyncio.CancelledError:
            await shielded(self._abandon(call))
            raise
        self.controller.record(self.number, *await self._settle(reason))

    async def _call(self) -> None:
        binding, ref = self.controller.binding, self.controller.sweep.location.ref
        trial = SweepTrial(self.run_id, str(ref), self.number, dict(self.trial.parameters))
        arguments = binding.arguments(trial)
        # A result from the cache would be a trial without a run.
        task = binding.task.override(short_name=f"trial-{self.number}", cache="disable")
        with flyte.group(_GROUP), flyte.custom_context(**self.trial.to_context()):
            await task.aio(**arguments)

    async def _watch(self, call: asyncio.Future[None]) -> str | None:
        """Send heartbeats until the action has ended; return why it failed."""
        is_deleted = False
        while not (await asyncio.wait({call}, timeout=None if is_deleted else HEARTBEAT_INTERVAL))[0]:
            try:
                commands = await self.agent.heartbeat(self.run_id)
            except SweepUnavailableError as error:
                _logger.warning("Trial %d continues: %s", self.number, error)
                continue
            if commands is None:
                _logger.warning("W&B sweep %s was deleted; trial %d continues", self.trial.sweep_id, self.number)
                is_deleted = True
            elif any(is_stop(command, self.run_id) for command in commands):
                await self._cancel(call)
                return STOPPED
        if call.cancelled():
            return "it was cancelled"
        failure = call.exception()
        return None if failure is None else f"{type(failure).__name__}: {failure}"

    async def _cancel(self, call: asyncio.Future[None]) -> None:
        from wandb_runtime.lifecycle.trial_endings import interrupt_trial

        call.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await call
        # In local mode, where cancelling does not end the thread of a sync task.
        interrupt_trial(self.trial)

    async def _abandon(self, call: asyncio.Future[None]) -> None:
        """End the action of a fan-out that is being ended."""
        await self._cancel(call)
        if not is_stopping():
            await self._settle("it was cancelled")

    async def _settle(self, error: str | None) -> tuple[Trial, str | None]:
        """Make sure that the run of the ended action has ended; return it, and why the trial failed."""
        trial, is_known = await self._read_ended()
        if is_known and (trial is None or trial.state == "pending"):
            error = error or _NO_RUN
        if is_known and (trial is None or trial.state in ("pending", *UNFINISHED)):
            await self.controller.close(self.trial, 0 if error is None else 1)
            trial, _ = await self.agent.read_trial(self.run_id)
        state = "failed" if error else "finished"
        return trial or Trial(self.run_id, self.run_id, state, dict(self.trial.parameters)), error

    async def _read_ended(self) -> tuple[Trial | None, bool]:
        """Read the run, which an action that is being ended may still close."""
        deadline = asyncio.get_running_loop().time() + _CLOSING_TIMEOUT
        while True:
            trial, is_known = await self.agent.read_trial(self.run_id)
            is_closing = trial is not None and trial.state in UNFINISHED
            if not is_closing or asyncio.get_running_loop().time() > deadline:
                return trial, is_known
            await asyncio.sleep(_READ_INTERVAL)


class _IdleError(Exception):
    """W&B assigned no trial for as long as a fan-out waits."""


_request: ContextVar[Any] = ContextVar("wandb_sweeps_request_trial")


@flyte.trace
async def assign_trial(sweep: str, number: int) -> str:  # noqa: ARG001 - they identify the trace
    """Request a trial; a retry of the calling task gets the recorded response.

    Args:
        sweep: The sweep.
        number: The number of the trial.

    Returns:
        As JSON: the agent, the id of the run and the parameters, or why W&B has no trial.
    """
    return json.dumps(await _request.get()())
