"""The interpreters of an agent's trials, seen from the agent."""

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

# Seconds beyond what a trial takes by itself: to react at all, and to exit once its objective has ended.
_FOR_REACTING = 0.5
_FOR_EXITING = 10.0


def pickled(objective: Callable[[], object]) -> bytes:
    """The objective as bytes: by reference where it can be imported, by value where it is in the script itself.

    Raises:
        InvalidValueError: It cannot be pickled, or not be called without arguments.
    """
    import inspect

    import cloudpickle

    if not callable(objective):
        raise _refused(objective, "must be a function that takes no arguments")
    try:
        inspect.signature(objective).bind()
    except TypeError as error:
        reason = f"is called without arguments, but {error}; read the parameters from the run's config"
        raise _refused(objective, reason) from error
    except ValueError:  # a callable without a signature
        pass
    try:
        pickled: bytes = cloudpickle.dumps(objective)
    except Exception as error:
        reason = (
            f"cannot be sent to the interpreters of its trials: {type(error).__name__}: {error}. It is sent with what "
            "it names; make the rest of it in its body, or move it to a module that can be imported"
        )
        raise _refused(objective, reason) from error
    return pickled


def _refused(objective: object, reason: str) -> InvalidValueError:
    return InvalidValueError("objective", objective, reason)


@dataclass(frozen=True)
class Assignment:
    """What a trial is told."""

    environment: Mapping[str, str]
    """Variables that it gets beside the agent's."""
    parameters: Mapping[str, Any]
    """What W&B has chosen."""
    context: Mapping[str, str]
    """The Flyte context of the objective."""


class Interpreter:
    """Gives each trial of an agent an interpreter of its own, one after the other."""

    def __init__(self, keeper: int, channel: Any) -> None:
        self._keeper = keeper
        self._channel = channel
        self._is_gone = threading.Event()
        self._told: dict[str, Any] = {}
        self._exit_code: Future[int] = Future()
        self.exited: asyncio.Future[int] = asyncio.wrap_future(self._exit_code)
        """Done when the trial's interpreter has exited."""
        submit(self._hear)

    @classmethod
    async def start(cls) -> Interpreter:
        """Has a process made for them; the template is to be held (`client`)."""
        return cls(*await to_thread(client.connect, undo=lambda made: _end(*made)))

    @property
    def is_alive(self) -> bool:
        """Whether it can take a trial."""
        return not self._is_gone.is_set()

    def assign(self, objective: bytes, assignment: Assignment) -> None:
        """Gives a trial an interpreter, when the one before has exited."""
        self._told = {}
        self._exit_code = Future()
        self.exited = asyncio.wrap_future(self._exit_code)
        with suppress(OSError):
            for message in (b"trial", objective, json.dumps(vars(assignment)).encode()):
                self._channel.send_bytes(message)
        if not self.is_alive:
            self._set_exited(-signal.SIGKILL)

    def tell(self, message: str) -> None:
        """Tells the trial to end: `STOP` or `PREEMPT`; in any thread."""
        with suppress(OSError):
            self._channel.send_bytes(message.encode())

    async def stop(self, message: str) -> None:
        """Ends the trial: by an exception in the objective; by closing its run; by force."""
        self.tell(message)
        if await self.has_exited(within=messages.PATIENCE[message] + _FOR_REACTING):
            return
        if self._told and await self.has_exited(within=messages.FOR_CLOSING):
            return
        await self.dismiss()

    async def dismiss(self) -> None:
        """Ends everything at once."""
        if self.is_alive:
            _kill(self._keeper)
            if not self.exited.done():
                # When nobody has the connection any more, what the trial had of the machine is free again.
                await to_thread(lambda: self._is_gone.wait(_FOR_EXITING))
        self._is_gone.set()
        self._set_exited(-signal.SIGKILL)
        await asyncio.wait({self.exited})
        self._channel.close()

    async def has_exited(self, within: float) -> bool:
        """Waits so many seconds for the trial's interpreter to exit."""
        await asyncio.wait({self.exited}, timeout=within)
        return self.exited.done()

    @property
    def failure(self) -> str | None:
        """Why the trial has failed, None if it has not; to be asked for when it has exited."""
        if "error" in self._told:
            error: str | None = self._told["error"]
            return error
        return _death(self.exited.result())

    @property
    def has_said_its_end(self) -> bool:
        """Whether the objective has ended by itself, rather than with its process."""
        return "error" in self._told

    def _hear(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                told = json.loads(self._channel.recv_bytes())
                self._told.update(told)
                if "exited" in told:
                    self._set_exited(told["exited"])
        # Nothing but force ends it while there is an agent.
        self._is_gone.set()
        self._set_exited(-signal.SIGKILL)

    def _set_exited(self, code: int) -> None:
        with suppress(InvalidStateError):
            self._exit_code.set_result(code)


def _end(keeper: int, channel: Any) -> None:
    _kill(keeper)
    channel.close()


def _kill(keeper: int) -> None:
    """Ends its session: itself, the trial, and what the trial has started there."""
    with suppress(ProcessLookupError):
        os.killpg(keeper, signal.SIGKILL)


def _death(code: int) -> str:
    if code >= 0:
        return f"its interpreter exited with code {code} before the objective had ended"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; it may have been out of memory" if -code == signal.SIGKILL else ""
    return f"its interpreter was ended by {name}{hint}"
