"""A sweep agent: it requests trials from W&B and runs them one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wandb_sweeps._agents.forkserver import messages
from wandb_sweeps._agents.forkserver.runner import TrialRunner, TrialSpec, pickle_objective
from wandb_sweeps._errors import SweepUnavailableError
from wandb_sweeps._results import Trial
from wandb_sweeps._server.agent_requests import HEARTBEAT_INTERVAL, UNFINISHED, AgentRequests, is_stop, parameters_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from wandb_sweeps._server.lookup import Sweep
    from wandb_sweeps._server.responses import Command

_logger = logging.getLogger("wandb_sweeps")

# Seconds.
_EXIT_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 30.0

# The SDK's default is 15 s: a killed trial would lose that much, and a stop would reach the trial that late. The
# values are whole seconds.
_FLUSH_INTERVALS = ("X_FILE_STREAM_TRANSMIT_INTERVAL", "X_TRANSACTION_LOG_FLUSH_INTERVAL")


@dataclass(frozen=True)
class Limits:
    """The limits after which an agent ends."""

    count: int | None
    max_failures: int | None
    idle_timeout: float


@dataclass
class Agent:
    """A running agent."""

    objective: bytes
    requests: AgentRequests
    limits: Limits
    folder: Path
    context: Mapping[str, str]
    trials: list[Trial] = field(default_factory=list)
    _failures: int = 0
    _runner: TrialRunner | None = None

    @property
    def name(self) -> str:
        """The agent's name in logs and results."""
        return self.requests.name

    @property
    def sweep(self) -> Sweep:
        """The sweep that the agent works for."""
        return self.requests.sweep

    async def run(self) -> str:
        """Run trials until the agent has to end; return the reason."""
        while True:
            if self.limits.count is not None and len(self.trials) >= self.limits.count:
                return "count"
            if self.limits.max_failures is not None and self._failures >= self.limits.max_failures:
                _logger.warning("Sweep agent %s ends: its last %d trials failed", self.name, self._failures)
                return "failures"
            # First, because a trial that W&B has assigned is lost if no process can be started for it.
            await self._ensure_runner()
            command = await self.requests.next_trial(self.limits.idle_timeout)
            if isinstance(command, str):
                return command
            if (ended := await self._run_trial(command)) is not None:
                return ended

    # Called when the platform stops the process, from any thread.

    def mark_preempting(self) -> None:
        """Tell the trial at once that the process is about to be stopped. Never raises."""
        if self._runner is not None:
            self._runner.send(messages.PREEMPT)

    def close(self, exit_code: int) -> None:
        """Do nothing: the trial notices the end of this process and ends itself."""

    async def _run_trial(self, command: Command) -> str | None:
        """Run a trial; return why the agent has to end after it, if it has to."""
        run_id = str(command.run_id)
        _logger.info("Sweep agent %s starts trial %s", self.name, run_id)
        runner = await self._ensure_runner()
        runner.start_trial(self.objective, self._spec(command))
        try:
            stopped_by, ended = await self._send_heartbeats(run_id, runner)
        except (Exception, asyncio.CancelledError):
            await shielded(self._abandon(command, runner))
            raise
        await self._record(command, runner, stopped_by)
        return ended

    async def _send_heartbeats(self, run_id: str, runner: TrialRunner) -> tuple[str | None, str | None]:
        """Send heartbeats until the trial has ended; return who stopped it, and why the agent has to end."""
        while not await runner.has_exited(within=HEARTBEAT_INTERVAL):
            if runner.has_reported and not await runner.has_exited(within=_EXIT_TIMEOUT):
                await runner.kill()
                break
            try:
                commands = await self.requests.heartbeat(run_id)
            except SweepUnavailableError as error:
                _logger.warning("Sweep agent %s continues trial %s: %s", self.name, run_id, error)
                continue
            if commands is None:
                _logger.warning("W&B sweep %s was deleted; trial %s continues", self.sweep.location.ref, run_id)
                await asyncio.wait({runner.exited})
                return None, "deleted"
            for command in commands:
                if is_stop(command, run_id):
                    await runner.stop(messages.STOP)
                    return "stopped by W&B", "finished" if command.type == "exit" else None
        return None, None

    async def _record(self, command: Command, runner: TrialRunner, stopped_by: str | None) -> None:
        """Record how a trial ended, and close its run if the trial could not."""
        run_id = str(command.run_id)
        error = runner.failure
        trial, is_known = await self.requests.read_trial(run_id)
        has_run = not is_known or (trial is not None and trial.state != "pending")
        if not has_run:
            error = error or "it opened no W&B run; give the objective @wandb_init, or call wandb.init in it"
        if not has_run or (not runner.has_reported and (trial is None or trial.state in UNFINISHED)):
            await self._close_run(command)
            trial, _ = await self.requests.read_trial(run_id)
        if trial is None:
            trial = Trial(run_id, run_id, "failed" if error else "finished", parameters_of(command))
        has_failed = error is not None and stopped_by is None
        if has_failed:
            _logger.warning("Trial %s of sweep %s failed: %s", run_id, self.sweep.location.ref, error)
        self._failures = self._failures + 1 if has_failed else 0
        self.trials.append(replace(trial, agent=self.name, error=stopped_by or error or ""))

    async def _abandon(self, command: Command, runner: TrialRunner) -> None:
        """End the trial of an agent that is being ended."""
        await runner.stop(messages.PREEMPT)
        if not runner.has_reported:
            trial, is_known = await self.requests.read_trial(str(command.run_id))
            if is_known and (trial is None or trial.state in ("pending", *UNFINISHED)):
                await self._close_run(command)

    async def _close_run(self, command: Command) -> None:
        """End the run of a trial whose process could not."""
        try:
            runner = await self._ensure_runner()
            runner.start_trial(pickle_objective(messages.close_run), self._spec(command))
            if not await runner.has_exited(within=_CLOSE_TIMEOUT):
                await runner.kill()
            elif (error := runner.failure) is not None:
                _logger.warning("W&B may show trial %s as running for a while: %s", command.run_id, error)
        except Exception:
            _logger.warning("W&B may show trial %s as running for a while", command.run_id, exc_info=True)

    async def _ensure_runner(self) -> TrialRunner:
        if self._runner is None or not self._runner.is_alive:
            self._runner = await TrialRunner.launch()
        return self._runner

    async def kill(self) -> None:
        """Kill the remaining processes of the trials."""
        if self._runner is not None:
            await self._runner.kill()

    def _spec(self, command: Command) -> TrialSpec:
        location = self.sweep.location
        run_id = str(command.run_id)
        environment = {
            "WANDB_BASE_URL": location.host,
            "WANDB_ENTITY": location.entity,
            "WANDB_PROJECT": location.project,
            "WANDB_RUN_ID": run_id,
            "WANDB_SWEEP_ID": location.id,
            "WANDB_SWEEP_PARAM_PATH": str(self.folder / f"config-{len(self.trials)}.yaml"),
        }
        for name in _FLUSH_INTERVALS:
            if not (os.environ.get(f"WANDB_{name}") or os.environ.get(f"WANDB_{name.removeprefix('X')}")):
                environment[f"WANDB_{name}"] = "1"
        return TrialSpec(environment, command.args or {}, self.context)


async def shielded(work: Coroutine[Any, Any, None]) -> None:
    """Await work to its end even if the waiting task is cancelled."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()
