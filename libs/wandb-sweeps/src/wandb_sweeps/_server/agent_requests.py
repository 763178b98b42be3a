"""The requests of one registered agent: for trials, for commands about the trial that it runs, and for states."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._errors import SweepNotFoundError, SweepUnavailableError

if TYPE_CHECKING:
    from wandb_sweeps._results import Trial
    from wandb_sweeps._server.lookup import Sweep, SweepServer
    from wandb_sweeps._server.responses import Command

_logger = logging.getLogger("wandb_sweeps")

HEARTBEAT_INTERVAL = 2.0
"""Seconds between the heartbeats of a running trial. One that W&B stops has to end within 5."""
UNFINISHED = ("running", "preempting")
"""States of a run that has not ended; it is "preempting" once the trial knows that the platform stops it."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


@dataclass(frozen=True)
class AgentRequests:
    """The requests of one agent. W&B assigns it one trial at a time."""

    sweep: Sweep
    server: SweepServer
    agent_id: str
    name: str

    async def next_trial(self, idle_timeout: float) -> Command | str:
        """Wait for a trial; return the command that starts it, or the reason why the wait has ended."""
        pause, deadline = _SHORTEST_PAUSE, time.monotonic() + idle_timeout
        while True:
            failure: SweepUnavailableError | None = None
            try:
                if (found := await self._poll(checks_sweep=pause > 1)) is not None:
                    return found
            except SweepNotFoundError:
                return "deleted"
            except SweepUnavailableError as error:
                _logger.warning("Sweep agent %s waits: %s", self.name, error)
                failure = error
            if time.monotonic() + pause > deadline:
                if failure is not None:
                    raise failure
                return "idle"
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _poll(self, *, checks_sweep: bool) -> Command | str | None:
        """Request a trial once; return its command, or the reason why the wait has ended, or None to wait."""
        commands = await self.heartbeat(None)
        if commands is None:
            return "deleted"
        for command in commands:
            if command.starts_trial:
                return command
            if command.type == "exit":
                return "finished"
        return "finished" if checks_sweep and await self._is_over() else None

    async def heartbeat(self, run_id: str | None) -> list[Command] | None:
        """Report the trial that runs; return the next commands, or None if the sweep was deleted."""
        return await to_thread(lambda: self.server.heartbeat(self.agent_id, run_id))

    async def _is_over(self) -> bool:
        return (await to_thread(lambda: self.server.look_up(self.sweep.location))).is_over

    async def read_trial(self, run_id: str) -> tuple[Trial | None, bool]:
        """Read the run of a trial; return it, if it exists, and whether W&B responded."""
        try:
            found = await to_thread(lambda: self.server.read_trials(self.sweep.location, {"name": run_id}))
        except SweepUnavailableError as error:
            _logger.warning("The state of trial %s is unknown: %s", run_id, error)
            return None, False
        return next(iter(found), None), True


def parameters_of(command: Command) -> dict[str, Any]:
    """Return the parameters that W&B has chosen for the trial of a command."""
    return {name: given.get("value") for name, given in (command.args or {}).items()}


def is_stop(command: Command, run_id: str) -> bool:
    """Whether a command ends a running trial."""
    return command.type == "exit" or (command.type == "stop" and command.run_id == run_id)
