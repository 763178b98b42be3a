"""The scheduler of actions: one process for each attempt, until the action succeeds or its retries are used up.

Everything here runs on the plane's event loop. `Changes` notifies waiting coroutines and test threads about every
change of state.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from flyteidl2.task import common_pb2

from tests.support.control_plane import pods
from tests.support.control_plane.actions import Action, ActionError, Attempt, Kind, Phase
from tests.support.control_plane.literals import to_python
from tests.support.control_plane.processes import Process, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from flyteidl2.core.literals_pb2 import KeyValuePair
    from flyteidl2.task.run_pb2 import RunSpec

    from tests.support.object_store import ObjectStore

T = TypeVar("T")


class Changes:
    """Notifications about changes of state, for coroutines and threads."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._event = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Is set by the next change; get it before reading the state."""
        return self._event

    def notify(self) -> None:
        """Notify about a change; on the event loop."""
        self._event.set()
        self._event = asyncio.Event()
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, condition: Callable[[], T], timeout: float) -> T:
        """Wait until the condition is true or the timeout is over; in a thread."""
        end = time.monotonic() + timeout
        with self._condition:
            while not (result := condition()) and (left := end - time.monotonic()) > 0:
                self._condition.wait(left)
        return result


@dataclass
class PodSettings:
    """Settings of all pods; a test may change them between runs."""

    env: dict[str, str]
    """Variables for every pod, on top of a clean environment."""
    secrets: dict[str, str]
    """By key, for the `flyte.Secret` of tasks."""
    is_pid1: bool = False
    """Pods ignore SIGTERM for which they have no handler, as the first process of a container does."""
    grace: float = 30.0
    """Seconds from SIGTERM to SIGKILL, by default those of Kubernetes."""


@dataclass
class RunRecord:
    """A run as it was requested, and its actions."""

    base: str
    spec: RunSpec
    started: str
    actions: dict[str, Action] = field(default_factory=dict)


class Scheduler:
    """All runs of a plane."""

    def __init__(self, folder: Path, executables: Path, store: ObjectStore, pod_settings: PodSettings) -> None:
        self.runs: dict[str, RunRecord] = {}
        self.bucket = ""
        self.endpoint = ""
        self.store = store
        self.changes = Changes()
        self.is_closed = False
        self._folder = folder
        self._executables = executables
        self._pod_settings = pod_settings
        self._cache: dict[str, Action] = {}
        self._stops: dict[tuple[str, str], asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, run: str, action: str) -> Action | None:
        return self.runs[run].actions.get(action) if run in self.runs else None

    def children(self, run: str, parent: str) -> list[Action]:
        return [action for action in self.runs[run].actions.values() if action.parent == parent]

    def submit(self, action: Action) -> None:
        """Start a task's first attempt."""
        self.runs[action.run].actions[action.name] = action
        self._stops[action.key] = asyncio.Event()
        task = asyncio.ensure_future(self._run(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.changes.notify()

    async def record_trace(self, action: Action) -> None:
        """Store a task's report about a traced function; a retry may repeat it."""
        if action.phase is Phase.FAILED:
            action.error = await pods.read_error(self.store, f"{self.runs[action.run].base}/{action.name}")
        elif action.output_uri:
            action.outputs = await self._outputs(action.output_uri)
        self.runs[action.run].actions[action.name] = action
        self.changes.notify()

    def abort(self, action: Action, reason: str) -> None:
        """Stop an action and those it has started."""
        if action.kind is Kind.TASK and not action.phase.is_final:
            action.abort_reason = action.abort_reason or reason
            self._stops[action.key].set()
        for child in self.children(action.run, action.name):
            self.abort(child, reason)

    def expire(self, action: Action) -> None:
        """Stop the latest attempt of an action as if its timeout had passed."""
        self._stops[action.key].set()

    async def close(self) -> None:
        """Kill all pods and end all streams."""
        self.is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        actions = [action for run in self.runs.values() for action in run.actions.values()]
        for process in [attempt.process for action in actions for attempt in action.attempts]:
            if process is not None:
                process.kill()
                await process.wait()
        self.changes.notify()

    async def _run(self, action: Action) -> None:
        try:
            if not await self._from_cache(action):
                await self._try(action)
        except Exception as error:  # noqa: BLE001 - those who wait for the action must see it
            self._finish(action, Phase.FAILED, ActionError("ControlPlane", repr(error), is_user=False))
        finally:
            for child in self.children(action.run, action.name):
                self.abort(child, "the action that started it has ended")

    async def _from_cache(self, action: Action) -> bool:
        earlier = self._cache.get(action.cache_key) if action.cache_key else None
        if earlier is None:
            return False
        action.is_cached, action.output_uri, action.outputs = True, earlier.output_uri, earlier.outputs
        self._finish(action, Phase.SUCCEEDED)
        return True

    async def _try(self, action: Action) -> None:
        assert action.spec is not None
        budget = action.spec.task_template.metadata.retries.retries
        while action.abort_reason is None:
            self._stops[action.key].clear()
            attempt = Attempt(len(action.attempts) + 1, f"{action.run}-{action.name}-{len(action.attempts)}")
            await self._attempt(action, attempt)
            may_retry = attempt.error is None or attempt.error.is_recoverable
            if attempt.phase in {Phase.SUCCEEDED, Phase.ABORTED} or not may_retry or attempt.number > budget:
                break
        if action.abort_reason is not None:
            return self._finish(action, Phase.ABORTED)
        if attempt.phase is Phase.SUCCEEDED:
            action.output_uri = self._output(action, attempt)
            action.outputs = await self._outputs(f"{action.output_uri}/outputs.pb")
            self._cache[action.cache_key] = action
        return self._finish(action, attempt.phase, attempt.error)

    async def _attempt(self, action: Action, attempt: Attempt) -> None:
        assert action.spec is not None
        run = self.runs[action.run]
        values = pods.variables(action, attempt, run.base, run.started)
        action.links = pods.links(action.spec.task_template, values)
        action.attempts.append(attempt)
        folder = self._folder / attempt.pod_name
        folder.mkdir()
        process = await Process.start(
            [pods.substitute(word, values) for word in action.spec.task_template.container.args],
            self._environment(action, attempt),
            folder,
            self.changes.notify,
        )
        attempt.process = process
        action.phase = attempt.phase = Phase.RUNNING
        self.changes.notify()
        try:
            await self._watch(action, attempt, process)
        finally:
            process.kill()
        self.changes.notify()

    async def _watch(self, action: Action, attempt: Attempt, process: Process) -> None:
        assert action.spec is not None
        limit = action.spec.task_template.metadata.timeout.ToTimedelta().total_seconds()
        stop = asyncio.ensure_future(self._stops[action.key].wait())
        exit_ = asyncio.ensure_future(process.wait())
        await asyncio.wait([exit_, stop], timeout=limit or None, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if exit_.done():
            await pods.conclude(action, attempt, self.store, self._output(action, attempt))
            return
        await process.stop(self._pod_settings.grace, is_pid1=self._pod_settings.is_pid1)
        await exit_
        attempt.phase = Phase.ABORTED
        if action.abort_reason is None:
            attempt.phase = Phase.TIMED_OUT
            attempt.error = ActionError("MAX_RUNTIME_EXCEEDED", f"it ran for more than {limit} s")

    def _environment(self, action: Action, attempt: Attempt) -> dict[str, str]:
        assert action.spec is not None
        run = self.runs[action.run]
        return {
            **clean_environment(self._folder / attempt.pod_name / ".home", self._executables),
            **self.store.env,
            **self._pod_settings.env,
            **_pairs(action.spec.task_template.container.env),
            **_pairs(run.spec.envs.values),
            **pods.environment(action, attempt, run.base, self.endpoint, self._pod_settings.secrets),
        }

    def _output(self, action: Action, attempt: Attempt) -> str:
        return f"{self.runs[action.run].base}/{action.name}/{attempt.number}"

    async def _outputs(self, uri: str) -> dict[str, object]:
        data = await asyncio.to_thread(self.store.read, uri)
        literals = common_pb2.Outputs.FromString(data or b"").literals
        return {named.name: to_python(named.value) for named in literals}

    def _finish(self, action: Action, phase: Phase, error: ActionError | None = None) -> None:
        action.phase, action.error = phase, error
        self.changes.notify()


def _pairs(pairs: Iterable[KeyValuePair]) -> Mapping[str, str]:
    return {pair.key: pair.value for pair in pairs}
