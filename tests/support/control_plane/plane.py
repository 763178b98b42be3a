"""A Flyte control plane for tests, in memory and on loopback.

The driver, the `a0` runtime, its controller and the code under test are real; only the platform is simulated.
It depends on the wire protocol alone: the messages and the generated servers of flyteidl2.

    test process                                          processes of their own
    +------------------------------------------+
    | test  -- run(), abort(), wait_for() --.  |          driver (driver.py)
    |                                       |  |   RPC      flyte.init(endpoint), flyte.run(task)
    | thread "flyte-plane"                  v  | <--------
    |   *services.py      RPCs  ->  Scheduler  |            pods (processes.py), one for each attempt
    |   messages.py       actions as messages  | <--------    a0 --inputs ... <task>; children, traces
    |   scheduler.py      attempts, retries,   |              clean environment, code from the bundle
    |                     abort, timeout ----- start, ---->
    |   pods.py           arguments, results   | signal
    |   object_store.py -------------------- HTTP -------->  moto (S3): bundles, inputs.pb, outputs.pb,
    +------------------------------------------+              error.pb, Dir; driver and pods use it too

As on the platform, the result of an attempt follows from `error.pb` (recoverable or not) and the exit code.

Not simulated: images (pods run in the tests' environment), pod templates, queues, resources, several nodes, conditions,
triggers, runs of deployed tasks, secrets as files, backoff between retries, the cache for a run's first action. A
timeout counts from the start of the process.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.support.control_plane.actions import TAIL, Action, Phase
from tests.support.control_plane.driver import Job, outputs, read_result, reference
from tests.support.control_plane.processes import Process, clean_environment
from tests.support.control_plane.scheduler import PodSettings, Scheduler
from tests.support.control_plane.server import Server
from tests.support.control_plane.services import ROOT
from tests.support.object_store import ObjectStore
from tests.support.preloaded import client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

T = TypeVar("T")
TIMEOUT = 200.0
"""Default limit of a wait in seconds. It only ends hangs, so it is generous: the machine may be busy."""
_REPOSITORY = Path(__file__).parents[3]
_SWITCH_TIMEOUT = 60


class PlaneError(AssertionError):
    """An expected event did not happen; the message names it and shows the output of the pods."""


@dataclass(eq=False)
class Run:
    """A run created by a driver process."""

    name: str
    root: Action
    driver: Process
    result: Any = None
    """The return value of the driver's function, by default the outputs; set by `ControlPlane.wait`."""

    @property
    def phase(self) -> Phase:
        return self.root.phase


class ControlPlane:
    """A platform as a context manager; on exit all its processes and threads have ended.

    Args:
        folder: Where drivers and pods run; made if missing.
        root: The folder whose files make up the code bundle, and where drivers run.
        env: Variables for every pod. Pods and drivers inherit only PATH and locale from the test's process.
        driver_env: Variables for every driver.
        secrets: By key, for tasks with a `flyte.Secret`.
        store: A store to share; by default a new one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        root: Path,
        env: Mapping[str, str] | None = None,
        driver_env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        store: ObjectStore | None = None,
    ) -> None:
        self.pods = PodSettings(dict(env or {}), dict(secrets or {}))
        self.driver_env = dict(driver_env or {})
        self.store = store or ObjectStore()
        self._owns_store = store is None
        self._folder = folder
        self._root = root
        self._executables = Path(sys.executable).parent
        self._drivers: list[Process] = []

    def __enter__(self) -> ControlPlane:
        with ExitStack() as stack:
            if self._owns_store:
                stack.enter_context(self.store)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._scheduler = Scheduler(self._folder, self._executables, self.store, self.pods)
            self._scheduler.bucket = self.store.new_bucket()
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.endpoint = self._scheduler.endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
            self._server = Server(self._scheduler)
            self._thread = threading.Thread(
                target=self._server.run, args=([listener],), name="flyte-plane", daemon=True
            )
            self._thread.start()
            if not self._server.ready.wait(_SWITCH_TIMEOUT):
                msg = f"the control plane did not start within {_SWITCH_TIMEOUT} s"
                raise PlaneError(msg)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._stack:
            self._call(self._close())
            self._server.should_exit = True
            self._thread.join(_SWITCH_TIMEOUT)

    def run(
        self, task: Any, *args: Any, expect: Phase = Phase.SUCCEEDED, timeout: float = TIMEOUT, **options: Any
    ) -> Run:
        """Run a task to its end; see `start` for the options and `wait` for `expect`."""
        return self.wait(self.start(task, *args, **options), expect=expect, timeout=timeout)

    def start(
        self,
        task: Any,
        *args: Any,
        context: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        then: Callable[..., Any] = outputs,
        **kwargs: Any,
    ) -> Run:
        """Run a task from a new driver process, and return as soon as the run exists.

        Args:
            task: A task at the top level of a module below `root`, or its name: `module:name`.
            *args: Its inputs; as `kwargs`, anything that can be pickled.
            context: The run's custom context.
            env: The run's environment variables, as `flyte.with_runcontext(env_vars=...)` takes them.
            overrides: For `task.override(...)`.
            options: More for `flyte.with_runcontext(...)`.
            then: What the driver does with the run: a function at the top level of a module, given the
                `flyte.remote.Run`. By default it waits and returns the outputs.
            **kwargs: The task's inputs.
        """
        name = f"r{uuid.uuid4().hex[:12]}"
        job = Job(
            endpoint=self.endpoint,
            root=self._root,
            task=reference(task),
            args=args,
            kwargs=kwargs,
            overrides=dict(overrides or {}),
            options={
                "name": name,
                # By default Flyte resolves the path of each of the thousands of modules that a driver has loaded.
                "copy_style": "all",
                "custom_context": dict(context or {}),
                "env_vars": dict(env or {}),
                **(options or {}),
            },
            then=reference(then),
        )
        if client.is_available:
            client.server().wait_until_ready()
        driver = self._call(self._drive(job.write(self._driver_folder(name))))
        self.wait_for("the driver to create a run", lambda: self._root_of(name) or driver.return_code is not None)
        root = self._root_of(name)
        if root is None:
            msg = f"the driver ended before it created a run:\n{driver.stderr}"
            raise PlaneError(msg)
        return Run(name, root, driver)

    def wait(self, run: Run, *, expect: Phase = Phase.SUCCEEDED, timeout: float = TIMEOUT) -> Run:
        """Wait for the end of a run, of all its actions and of its driver.

        Raises:
            PlaneError: It takes too long, or the run ended in another phase, or the driver failed.
        """

        def has_ended() -> bool:
            return run.driver.return_code is not None and all(action.phase.is_final for action in self.actions(run))

        self.wait_for(f"the end of run {run.name}", has_ended, timeout)
        if run.driver.return_code == 0:
            run.result = read_result(self._driver_folder(run.name))
        if run.phase is not expect or run.driver.return_code != 0:
            msg = f"run {run.name} ended {run.phase.name}, not {expect.name}\n{self.describe()}"
            raise PlaneError(msg)
        return run

    def actions(self, run: Run, task: str = "") -> list[Action]:
        """A run's actions in the order they were submitted; only those of one task or traced function, if named."""
        return [action for action in list(self._scheduler.runs[run.name].actions.values()) if _is(action, task)]

    def action(self, run: Run, task: str = "", timeout: float = TIMEOUT) -> Action:
        """The first action of a task or traced function, as soon as it exists; the root without a name."""
        return self.wait_for(f"an action of {task!r}", lambda: self.actions(run, task), timeout)[0]

    def abort(self, target: Run | Action, reason: str = "aborted by a test") -> None:
        """Abort a run, or an action and its children; returns at once."""
        action = target.root if isinstance(target, Run) else target
        self._on_loop(self._scheduler.abort, action, reason)

    def expire(self, action: Action) -> None:
        """End a task's time now: its real timeout starts with the process, which may take long to begin its work."""
        self._on_loop(self._scheduler.expire, action)

    def kill(self, action: Action, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to an action's pod; SIGKILL ends all of its processes at once."""
        process = action.last.process
        assert process is not None, f"no process has been started yet for {action}"
        if number is signal.SIGKILL:
            self._on_loop(process.kill)
        elif not self.pods.is_pid1 or process.catches(number):
            self._on_loop(process.send, number)

    def wait_for(self, what: str, condition: Callable[[], T], timeout: float = TIMEOUT) -> T:
        """Wait until the condition is true and return its value.

        It is evaluated whenever an action's state changes or a process prints something.
        """
        result = self._scheduler.changes.wait_for(condition, timeout)
        if not result:
            msg = f"waited {timeout} s for {what}\n{self.describe()}"
            raise PlaneError(msg)
        return result

    def wait_for_output(self, action: Action, text: str, timeout: float = TIMEOUT) -> str:
        """Wait until an action's latest attempt has printed a line with a text, and return all complete lines.

        A line arrives in pieces: `print` writes each of its arguments separately.
        """

        def printed() -> str:
            lines = action.last.complete_lines if action.attempts else ""
            return lines if text in lines else ""

        self.wait_for(f"{text!r} from {action.task}", lambda: printed() or action.phase.is_final, timeout)
        if not (lines := printed()):
            msg = f"{action.task} ended without printing {text!r}\n{self.describe()}"
            raise PlaneError(msg)
        return lines

    def describe(self) -> str:
        """Describe the state of all actions and drivers."""
        actions = [str(action) for run in list(self._scheduler.runs.values()) for action in list(run.actions.values())]
        drivers = [f"driver: exit code {driver.return_code}, {driver.stderr[-TAIL:]}" for driver in self._drivers]
        return "\n".join([*actions, *drivers])

    def _root_of(self, run: str) -> Action | None:
        return self._scheduler.find(run, ROOT)

    def _driver_folder(self, run: str) -> Path:
        return self._folder / f"driver-{run}"

    async def _drive(self, command: list[str]) -> Process:
        home = self._folder / "driver-home"
        # The driver's project may be in another folder than this package.
        found = {"PYTHONPATH": str(_REPOSITORY)}
        env = {**clean_environment(home, self._executables), **found, **self.store.env, **self.driver_env}
        changed = self._scheduler.changes.notify
        driver = await Process.start(command, env, self._root, changed)
        asyncio.ensure_future(driver.wait()).add_done_callback(lambda _: changed())
        self._drivers.append(driver)
        return driver

    async def _close(self) -> None:
        for driver in self._drivers:
            driver.kill()
        await self._scheduler.close()
        await asyncio.gather(*(driver.wait() for driver in self._drivers))

    def _on_loop(self, function: Callable[..., object], *args: object) -> None:
        async def call() -> None:
            function(*args)

        self._call(call())

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._server.loop).result(_SWITCH_TIMEOUT)


def _is(action: Action, task: str) -> bool:
    return not task or action.task == task or action.task.endswith(f".{task}")
