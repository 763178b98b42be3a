"""The agent's side of its trials' processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_artifacts import InvalidValueError
from wandb_runtime.tasks.threads import submit, to_thread

from wandb_sweeps._agents.forkserver import client, messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Seconds in addition to the objective's grace period: to react to a message, and to exit once the objective has ended.
_REACTION_TIME = 0.5
_EXIT_TIMEOUT = 10.0


def pickle_objective(objective: Callable[[], object]) -> bytes:
    """Pickle an objective: by reference if it can be imported, by value if the script itself defines it.

    Raises:
        InvalidValueError: It cannot be pickled, or cannot be called without arguments.
    """
    import inspect

    import cloudpickle

    if not callable(objective):
        raise _refusal(objective, "must be a function that takes no arguments")
    try:
        inspect.signature(objective).bind()
    except TypeError as error:
        reason = f"is called without arguments, but {error}; read the parameters from the run's config"
        raise _refusal(objective, reason) from error
    except ValueError:  # a callable without a signature
        pass
    try:
        pickled: bytes = cloudpickle.dumps(objective)
    except Exception as error:
        reason = (
            f"cannot be pickled for the processes of its trials: {type(error).__name__}: {error}. It is pickled "
            "together with the globals that it names; create them in its body, or move it to an importable module"
        )
        raise _refusal(objective, reason) from error
    return pickled


def _refusal(objective: object, reason: str) -> InvalidValueError:
    return InvalidValueError("objective", objective, reason)


@dataclass(frozen=True)
class TrialSpec:
    """The inputs of a trial."""

    environment: Mapping[str, str]
    """Environment variables in addition to the agent's."""
    parameters: Mapping[str, Any]
    """The parameters that W&B chose."""
    context: Mapping[str, str]
    """The Flyte context of the objective."""


class TrialRunner:
    """Runs the trials of an agent one after the other, each in a new process."""

    def __init__(self, supervisor: int, channel: Any) -> None:
        self._supervisor = supervisor
        self._channel = channel
        self._has_ended = threading.Event()
        self._report: dict[str, Any] = {}
        self._exit_code: Future[int] = Future()
        self.exited: asyncio.Future[int] = asyncio.wrap_future(self._exit_code)
        """Done when the trial's process has exited."""
        submit(self._receive)

    @classmethod
    async def launch(cls) -> TrialRunner:
        """Fork a supervisor. Call it while the forkserver is in use (`client`)."""
        return cls(*await to_thread(client.fork_supervisor, undo=lambda forked: _kill_and_close(*forked)))

    @property
    def is_alive(self) -> bool:
        """Whether it can run another trial."""
        return not self._has_ended.is_set()

    def start_trial(self, objective: bytes, spec: TrialSpec) -> None:
        """Start the process of a trial; the process of the previous trial must have exited."""
        self._report = {}
        self._exit_code = Future()
        self.exited = asyncio.wrap_future(self._exit_code)
        with suppress(OSError):
            for message in (b"trial", objective, json.dumps(vars(spec)).encode()):
                self._channel.send_bytes(message)
        if not self.is_alive:
            self._set_exited(-signal.SIGKILL)

    def send(self, message: str) -> None:
        """Ask the trial to end: `STOP` or `PREEMPT`. Callable from any thread."""
        with suppress(OSError):
            self._channel.send_bytes(message.encode())

    async def stop(self, message: str) -> None:
        """End the trial: first by an exception in the objective, then by closing its run, at last by SIGKILL."""
        self.send(message)
        if await self.has_exited(within=messages.GRACE_PERIODS[message] + _REACTION_TIME):
            return
        if self._report and await self.has_exited(within=messages.CLOSE_TIMEOUT):
            return
        await self.kill()

    async def kill(self) -> None:
        """Kill the trial and the supervisor at once."""
        if self.is_alive:
            _kill(self._supervisor)
            if not self.exited.done():
                # When the connection has no other end left, the trial's resources are free again.
                await to_thread(lambda: self._has_ended.wait(_EXIT_TIMEOUT))
        self._has_ended.set()
        self._set_exited(-signal.SIGKILL)
        await asyncio.wait({self.exited})
        self._channel.close()

    async def has_exited(self, within: float) -> bool:
        """Wait up to `within` seconds for the trial's process to exit."""
        await asyncio.wait({self.exited}, timeout=within)
        return self.exited.done()

    @property
    def failure(self) -> str | None:
        """Why the trial failed, None if it did not; available once it has exited."""
        if "error" in self._report:
            error: str | None = self._report["error"]
            return error
        return _describe_exit(self.exited.result())

    @property
    def has_reported(self) -> bool:
        """Whether the objective returned or raised, as opposed to its process having been killed."""
        return "error" in self._report

    def _receive(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                received = json.loads(self._channel.recv_bytes())
                self._report.update(received)
                if "exited" in received:
                    self._set_exited(received["exited"])
        # While its agent runs, a supervisor ends only if it is killed.
        self._has_ended.set()
        self._set_exited(-signal.SIGKILL)

    def _set_exited(self, code: int) -> None:
        with suppress(InvalidStateError):
            self._exit_code.set_result(code)


def _kill_and_close(supervisor: int, channel: Any) -> None:
    _kill(supervisor)
    channel.close()


def _kill(supervisor: int) -> None:
    """Kill the supervisor's session: itself, the trial, and the processes that the trial has started there."""
    with suppress(ProcessLookupError):
        os.killpg(supervisor, signal.SIGKILL)


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"its process exited with code {code} before the objective returned"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; it may have run out of memory" if -code == signal.SIGKILL else ""
    return f"its process was killed by {name}{hint}"
