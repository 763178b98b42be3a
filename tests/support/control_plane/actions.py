"""The control plane's state of actions, for tests to read.

The plane writes these objects on its own thread; a test reads them. `Action.attempts` has one entry for each process
that ran for the action, first to last.
"""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from flyteidl2.common import phase_pb2
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from flyteidl2.common.identifier_pb2 import ActionIdentifier
    from flyteidl2.task.task_definition_pb2 import TaskSpec

    from tests.support.control_plane.processes import Process

TAIL = 2_000
"""How many characters of a pod's output an error message repeats."""


class Phase(IntEnum):
    """A phase as the wire protocol numbers it."""

    QUEUED = phase_pb2.ACTION_PHASE_QUEUED
    RUNNING = phase_pb2.ACTION_PHASE_RUNNING
    SUCCEEDED = phase_pb2.ACTION_PHASE_SUCCEEDED
    FAILED = phase_pb2.ACTION_PHASE_FAILED
    ABORTED = phase_pb2.ACTION_PHASE_ABORTED
    TIMED_OUT = phase_pb2.ACTION_PHASE_TIMED_OUT

    @property
    def is_final(self) -> bool:
        """Whether the action has ended."""
        return self not in {Phase.QUEUED, Phase.RUNNING}


class Kind(Enum):
    """The kind of code that an action runs."""

    TASK = "task"
    TRACE = "trace"


@dataclass(frozen=True)
class ActionError:
    """Why an attempt, or the whole action, failed."""

    code: str
    message: str
    is_user: bool = True
    is_recoverable: bool = True


@dataclass(frozen=True)
class Link:
    """A log link with its template variables replaced, as the platform shows it."""

    name: str
    uri: str
    icon_uri: str = ""


@dataclass
class Attempt:
    """One pod: a process that ran, or runs, for an action."""

    number: int
    """From 1, as output directories are numbered; `FLYTE_ATTEMPT_NUMBER` is one less."""
    pod_name: str
    phase: Phase = Phase.QUEUED
    error: ActionError | None = None
    process: Process | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and if a signal ended it."""
        code = self.process.return_code if self.process else None
        return None if code is None or code < 0 else code

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended it."""
        code = self.process.return_code if self.process else None
        return signal.Signals(-code) if code is not None and code < 0 else None

    @property
    def started(self) -> float:
        """When its process started, as `time.monotonic` counts; infinite if it has not."""
        return self.process.started if self.process else math.inf

    @property
    def ended(self) -> float:
        """When its process ended; infinite if it has not."""
        ended = self.process.ended if self.process else None
        return math.inf if ended is None else ended

    @property
    def stdout(self) -> str:
        return self.process.stdout if self.process else ""

    @property
    def complete_lines(self) -> str:
        """Standard output up to its last line break."""
        return "".join(self.stdout.rpartition("\n")[:2])

    @property
    def stderr(self) -> str:
        return self.process.stderr if self.process else ""

    def __str__(self) -> str:
        ended = self.signal.name if self.signal else f"exit code {self.exit_code}"
        tails = [f"    {name}: ...{text[-TAIL:]}" for name in ("stdout", "stderr") if (text := getattr(self, name))]
        return "\n".join([f"  attempt {self.number}: {self.phase.name}, {ended}", *tails])


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now


@dataclass(eq=False)
class Action:
    """A run's root task, a child task or a trace."""

    id: ActionIdentifier
    task: str
    """The name of the task, or of the traced function."""
    kind: Kind = Kind.TASK
    parent: str = ""
    """The name of the action that started it; empty for the root."""
    group: str = ""
    spec: TaskSpec | None = None
    input_uri: str = ""
    cache_key: str = ""
    phase: Phase = Phase.QUEUED
    attempts: list[Attempt] = field(default_factory=list)
    links: tuple[Link, ...] = ()
    """Those of the latest attempt."""
    error: ActionError | None = None
    output_uri: str = ""
    outputs: dict[str, object] = field(default_factory=dict)
    """By name: simple values as they are, files and directories as their URI."""
    is_cached: bool = False
    """Its outputs come from an earlier action; no pod ran."""
    abort_reason: str | None = None
    start_time: Timestamp = field(default_factory=_now)

    @property
    def run(self) -> str:
        return self.id.run.name

    @property
    def name(self) -> str:
        return self.id.name

    @property
    def key(self) -> tuple[str, str]:
        return self.run, self.name

    @property
    def last(self) -> Attempt:
        """The latest attempt."""
        return self.attempts[-1]

    def __str__(self) -> str:
        head = f"{self.kind.value} {self.task} ({self.name}, parent {self.parent or '-'}): {self.phase.name}"
        error = [f"  error {self.error.code}: {self.error.message[-TAIL:]}"] if self.error else []
        return "\n".join([head, *error, *map(str, self.attempts)])
