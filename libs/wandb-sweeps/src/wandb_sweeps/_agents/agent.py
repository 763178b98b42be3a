"""An agent: asks W&B for trials, and runs them one after the other in interpreters of their own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wandb_artifacts import InvalidValueError
from wandb_runtime.config.context import RUN_ID_KEY, RUN_KEY, flyte_context
from wandb_runtime.tasks.shutdown import watch_body
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._agents.forkserver import client, messages
from wandb_sweeps._agents.forkserver.runner import Assignment, Interpreter, pickled
from wandb_sweeps._errors import SweepNotFoundError, SweepUnavailableError
from wandb_sweeps._results import AgentResult, Trial
from wandb_sweeps._server.lookup import Server, Sweep, locate, look_up, sweep_in_force
from wandb_sweeps._server.runs import read_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

_logger = logging.getLogger("wandb_sweeps")

# Seconds. A trial that W&B stops has to end within 5.
_BETWEEN_HEARTBEATS = 2.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FOR_EXITING = 10.0
_FOR_CLOSING = 30.0

# Fields of the Flyte W&B context that are a run's own; those of a trial are W&B's and the sweep's.
_NOT_FOR_TRIALS = frozenset(
    {RUN_ID_KEY, RUN_KEY}
    | {f"wandb_{name}" for name in ("id", "name", "run_mode", "rank_scope", "resume", "resume_from", "fork_from")}
)
# The states of a run that nobody has ended yet; "preempting" once the trial has been told that the platform stops it.
_GOING_ON = ("running", "preempting")
# Whole seconds; W&B's own 15 s is what a trial that is killed would lose, and how late it would be stopped.
_FLUSH_INTERVALS = ("X_FILE_STREAM_TRANSMIT_INTERVAL", "X_TRANSACTION_LOG_FLUSH_INTERVAL")


async def run_sweep_agent(
    objective: Callable[[], object],
    *,
    sweep_id: str | None = None,
    count: int | None = None,
    project: str | None = None,
    entity: str | None = None,
    name: str = "agent",
    max_failures: int | None = 3,
    idle_timeout: float = 600.0,
) -> AgentResult:
    """Runs a W&B sweep agent in a task: trials one after the other, each in a fresh Python interpreter.

    The task's own run, its environment and its siblings are not touched, and its event loop goes on. In the objective
    `get_wandb_run`, `get_wandb_sweep_id` and `get_wandb_context` work; tags, group and config of the Flyte W&B context
    reach its run, and what it prints goes to the task's output.

    A trial that W&B stops (early termination) ends within seconds: SystemExit is raised in the objective. When the task
    is cancelled or its pod is stopped, the trial's run is marked as preempting and closed.

    The objective is imported by its name in the interpreter. One of the script itself, of a notebook, or that is nested
    in a function, is pickled with what it names; the script is not run again.

    Args:
        objective: The function to run, sync or async, without arguments. It has `@wandb_init`, or calls `wandb.init`.
        sweep_id: The sweep: its id, or `entity/project/id`. The one in force by default.
        count: After how many trials to end; by default when the sweep is over.
        project: The project of the sweep, where neither `sweep_id` nor the configuration tells it.
        entity: The entity of the sweep, likewise; that of the API key's owner by default.
        name: What the agent is called in the results.
        max_failures: After how many failed trials, one directly after the other, to end; None: never.
        idle_timeout: How many seconds to wait for a trial: while the sweep is paused, or W&B is out of reach.
            A trial that is running goes on meanwhile.

    Returns:
        What the agent has done, and why it has ended.

    Raises:
        InvalidValueError: An argument is of no use, or the objective cannot be pickled.
        MissingApiKeyError: There is no API key.
        SweepNotFoundError: There is no such sweep.
        SweepUnavailableError: W&B cannot be reached.
    """
    check_number("count", count)
    check_number("max_failures", max_failures)
    function = pickled(objective)
    in_force = sweep_in_force()
    server = Server.of(in_force)
    with contextlib.ExitStack() as stack:
        stack.enter_context(client.held())
        # It loads what trials need while W&B is asked.
        await to_thread(client.load)
        sweep = await to_thread(lambda: locate(server, sweep_id, project, entity, in_force))
        agent_id = await to_thread(
            lambda: server.ask(lambda connection: connection.create_agent(sweep.address, socket.gethostname()))
        )
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wandb-sweep-", ignore_cleanup_errors=True))
        limits = Limits(count, max_failures, idle_timeout)
        agent = Agent(function, sweep, server, agent_id, name, limits, Path(folder), _context_of(sweep))
        body = stack.enter_context(watch_body())
        stack.enter_context(body.running(agent))
        try:
            ended = await agent.run()
        finally:
            await outlasting(agent.dismiss())
    _logger.info("Sweep agent %s of %s ends after %d trials: %s", name, sweep.address.ref, len(agent.trials), ended)
    return AgentResult(name, str(sweep.address.ref), agent.trials, ended)


def check_number(field: str, value: int | None) -> None:
    """A whole number above 0, or None.

    Raises:
        InvalidValueError: It is not.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InvalidValueError(field, value, "must be a whole number above 0")


def _context_of(sweep: Sweep) -> dict[str, str]:
    """The Flyte context of the objective: the agent's, with the sweep's address."""
    inherited = {key: value for key, value in flyte_context().items() if key not in _NOT_FOR_TRIALS}
    address = sweep.address
    place = {"wandb_entity": address.entity, "wandb_project": address.project, "wandb_host": address.host}
    return {**inherited, **place, **address.to_context()}


async def outlasting(work: Coroutine[Any, Any, None]) -> None:
    """Awaits what must be done to its end, although the waiting task is cancelled."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()


@dataclass(frozen=True)
class Limits:
    """When an agent ends by itself."""

    count: int | None
    max_failures: int | None
    idle_timeout: float


@dataclass
class Agent:
    """One agent at work."""

    objective: bytes
    sweep: Sweep
    server: Server
    agent_id: str
    name: str
    limits: Limits
    folder: Path
    context: Mapping[str, str]
    trials: list[Trial] = field(default_factory=list)
    _failures: int = 0
    _interpreter: Interpreter | None = None

    async def run(self) -> str:
        """Works until there is nothing more to do; returns why."""
        while True:
            if self.limits.count is not None and len(self.trials) >= self.limits.count:
                return "count"
            if self.limits.max_failures is not None and self._failures >= self.limits.max_failures:
                _logger.warning("Sweep agent %s ends: its last %d trials have failed", self.name, self._failures)
                return "failures"
            # First, because a trial that W&B has handed out is lost without one.
            await self.ready()
            command = await self._next_trial()
            if isinstance(command, str):
                return command
            if (ended := await self._try(command)) is not None:
                return ended

    # What the process is told by the platform, in any thread.

    def mark_preempting(self) -> None:
        """The process is about to be stopped: the trial is told at once. Never raises."""
        if self._interpreter is not None:
            self._interpreter.tell(messages.PREEMPT)

    def close(self, exit_code: int) -> None:
        """The process ends whatever the agent does: so does the trial, which notices."""

    async def _next_trial(self) -> dict[str, Any] | str:
        """Waits for a trial; gives the command, or why there is none."""
        pause, deadline = _SHORTEST_PAUSE, time.monotonic() + self.limits.idle_timeout
        while True:
            trouble: SweepUnavailableError | None = None
            try:
                commands = await self._heartbeat(None)
                if commands is None:
                    return "deleted"
                for command in commands:
                    if command.get("type") in ("run", "resume"):
                        return command
                    if command.get("type") == "exit":
                        return "finished"
                if pause > 1 and await self._is_over():
                    return "finished"
            except SweepNotFoundError:
                return "deleted"
            except SweepUnavailableError as error:
                _logger.warning("Sweep agent %s waits: %s", self.name, error)
                trouble = error
            if time.monotonic() + pause > deadline:
                if trouble is not None:
                    raise trouble
                return "idle"
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _try(self, command: Mapping[str, Any]) -> str | None:
        """Runs a trial; gives why the agent has to end after it, if it has to."""
        run_id = str(command["run_id"])
        _logger.info("Sweep agent %s starts trial %s", self.name, run_id)
        interpreter = await self.ready()
        interpreter.assign(self.objective, self._assignment(command))
        try:
            stopper, ended = await self._attend(run_id, interpreter)
        except (Exception, asyncio.CancelledError):
            await outlasting(self._abandon(command, interpreter))
            raise
        await self._conclude(command, interpreter, stopper)
        return ended

    async def _attend(self, run_id: str, interpreter: Interpreter) -> tuple[str | None, str | None]:
        """Tells W&B that the trial runs, until it has ended; gives who stopped it, and why the agent has to end."""
        while not await interpreter.has_exited(within=_BETWEEN_HEARTBEATS):
            if interpreter.has_said_its_end and not await interpreter.has_exited(within=_FOR_EXITING):
                await interpreter.dismiss()
                break
            try:
                commands = await self._heartbeat(run_id)
            except SweepUnavailableError as error:
                _logger.warning("Sweep agent %s goes on with trial %s: %s", self.name, run_id, error)
                continue
            if commands is None:
                _logger.warning("W&B sweep %s has been deleted; trial %s goes on", self.sweep.address.ref, run_id)
                await asyncio.wait({interpreter.exited})
                return None, "deleted"
            for command in commands:
                is_exit = command.get("type") == "exit"
                if is_exit or (command.get("type") == "stop" and command.get("run_id") == run_id):
                    await interpreter.stop(messages.STOP)
                    return "stopped by W&B", "finished" if is_exit else None
        return None, None

    async def _conclude(self, command: Mapping[str, Any], interpreter: Interpreter, stopper: str | None) -> None:
        """Notes how a trial has ended, and sees to it that W&B knows."""
        run_id = str(command["run_id"])
        error = interpreter.failure
        trial, is_known = await self._read(run_id)
        has_run = not is_known or (trial is not None and trial.state != "pending")
        if not has_run:
            error = error or "it opened no W&B run; give the objective @wandb_init, or call wandb.init in it"
        if not has_run or (not interpreter.has_said_its_end and (trial is None or trial.state in _GOING_ON)):
            await self._close(command)
            trial, _ = await self._read(run_id)
        if trial is None:
            parameters = {name: given.get("value") for name, given in (command.get("args") or {}).items()}
            trial = Trial(run_id, run_id, "failed" if error else "finished", parameters)
        has_failed = error is not None and stopper is None
        if has_failed:
            _logger.warning("Trial %s of sweep %s has failed: %s", run_id, self.sweep.address.ref, error)
        self._failures = self._failures + 1 if has_failed else 0
        self.trials.append(replace(trial, agent=self.name, error=stopper or error or ""))

    async def _abandon(self, command: Mapping[str, Any], interpreter: Interpreter) -> None:
        """The agent is being ended: so is the trial."""
        await interpreter.stop(messages.PREEMPT)
        if not interpreter.has_said_its_end:
            trial, is_known = await self._read(str(command["run_id"]))
            if is_known and (trial is None or trial.state in ("pending", *_GOING_ON)):
                await self._close(command)

    async def _close(self, command: Mapping[str, Any]) -> None:
        """Ends the run of a trial that could not do it."""
        try:
            interpreter = await self.ready()
            interpreter.assign(pickled(messages.close_run), self._assignment(command))
            if not await interpreter.has_exited(within=_FOR_CLOSING):
                await interpreter.dismiss()
            elif (error := interpreter.failure) is not None:
                _logger.warning("W&B may show trial %s as running for a while: %s", command["run_id"], error)
        except Exception:
            _logger.warning("W&B may show trial %s as running for a while", command["run_id"], exc_info=True)

    async def ready(self) -> Interpreter:
        """What gives the next trial an interpreter."""
        if self._interpreter is None or not self._interpreter.is_alive:
            self._interpreter = await Interpreter.start()
        return self._interpreter

    async def dismiss(self) -> None:
        """Ends what is left of the trials' processes."""
        if self._interpreter is not None:
            await self._interpreter.dismiss()

    def _assignment(self, command: Mapping[str, Any]) -> Assignment:
        address = self.sweep.address
        run_id = str(command["run_id"])
        environment = {
            "WANDB_BASE_URL": address.host,
            "WANDB_ENTITY": address.entity,
            "WANDB_PROJECT": address.project,
            "WANDB_RUN_ID": run_id,
            "WANDB_SWEEP_ID": address.id,
            "WANDB_SWEEP_PARAM_PATH": str(self.folder / f"config-{len(self.trials)}.yaml"),
        }
        for name in _FLUSH_INTERVALS:
            if not (os.environ.get(f"WANDB_{name}") or os.environ.get(f"WANDB_{name.removeprefix('X')}")):
                environment[f"WANDB_{name}"] = "1"
        return Assignment(environment, command.get("args") or {}, self.context)

    async def _heartbeat(self, run_id: str | None) -> list[dict[str, Any]] | None:
        commands: list[dict[str, Any]] | None = await to_thread(
            lambda: self.server.ask(lambda connection: connection.heartbeat(self.agent_id, run_id))
        )
        return commands

    async def _is_over(self) -> bool:
        return (await to_thread(lambda: look_up(self.server, self.sweep.address))).is_over

    async def _read(self, run_id: str) -> tuple[Trial | None, bool]:
        """The run of a trial, if there is one, and whether W&B has told."""
        try:
            found = await to_thread(lambda: read_trials(self.server, self.sweep.address, {"name": run_id}))
        except SweepUnavailableError as error:
            _logger.warning("W&B does not tell about trial %s: %s", run_id, error)
            return None, False
        return next(iter(found), None), True
