"""Tasks and driver functions of the tests."""

# ruff: noqa: T201, ASYNC110, ASYNC220, ASYNC240 - each task runs in a separate process and prints its progress

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import flyte
import flyte.errors
import flyte.report
from flyte.io import Dir
from flyte.remote import Run

env = flyte.TaskEnvironment(name="plane")


@flyte.trace
async def doubled(x: int) -> int:
    print("doubling")
    return 2 * x


@env.task
async def child(x: int) -> int:
    return x + 1


@env.task
async def family(x: int) -> int:
    """Two children at once, and a trace."""
    with flyte.group("siblings"):
        first, second = await asyncio.gather(child(x), child(x + 10))
    return await doubled(first + second)


@env.task(retries=2)
async def flaky() -> int:
    """Fails once, after a child and a trace that the second attempt reuses."""
    attempt = flyte.ctx().attempt_number
    x = await doubled(await child(20))
    if attempt == 0:
        msg = "not at the first attempt"
        raise ValueError(msg)
    return x + attempt


@env.task(retries=1)
async def killed() -> int:
    """Waits to be killed once, with a process that has left its group."""
    if flyte.ctx().attempt_number == 0:
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        print("sleeping beside", sleeper.pid)
        await asyncio.sleep(600)
    return flyte.ctx().attempt_number


@env.task(retries=2)
async def hopeless() -> None:
    msg = "no use to try again"
    raise flyte.errors.NonRecoverableError(msg)


@env.task
async def crashing() -> None:
    print("about to crash", file=sys.stderr, flush=True)
    os._exit(3)


@env.task
async def failing() -> None:
    msg = "the child's reason"
    raise ValueError(msg)


@env.task
async def parent_of_failures() -> None:
    """Handles one failure and not the next."""
    try:
        await crashing()
    except flyte.errors.RuntimeUserError as error:
        print("bore", error.code)
    await failing()


@env.task
async def sleeping() -> None:
    print("asleep")
    await asyncio.sleep(600)


@env.task
async def marking(mark: str) -> None:
    """Writes its process id to a file."""
    Path(f"{mark}.new").write_text(str(os.getpid()))
    Path(f"{mark}.new").rename(mark)
    await asyncio.sleep(600)


@env.task
async def cancelling(mark: str) -> str:
    """Cancels its child as soon as it runs, and outlives it."""
    pending = asyncio.ensure_future(marking(mark))
    while not Path(mark).exists():
        await asyncio.sleep(0.05)
    pending.cancel()
    try:
        await pending
    except asyncio.CancelledError:
        end = time.monotonic() + 20
        while Path("/proc", Path(mark).read_text()).exists() and time.monotonic() < end:
            await asyncio.sleep(0.05)
    return "it runs" if Path("/proc", Path(mark).read_text()).exists() else "it is gone"


@env.task
async def waiting(mark: str) -> None:
    await marking(mark)


@env.task(timeout=timedelta(seconds=1))
async def too_slow() -> None:
    await asyncio.sleep(600)


@env.task
async def patient() -> str:
    try:
        await too_slow()
    except flyte.errors.TaskTimeoutError as error:
        return type(error).__name__
    return "no timeout"


@env.task
async def catching() -> None:
    """Exits with its own code on SIGTERM."""

    def leave(*_: object) -> None:
        sys.exit(143)

    signal.signal(signal.SIGTERM, leave)
    print("asleep")
    await asyncio.sleep(600)


@env.task(report=True)
async def writing() -> Dir:
    flyte.report.get_tab("Numbers").log("<b>42</b>")
    folder = Path(tempfile.mkdtemp()) / "results"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b.txt").write_text("b")
    return await Dir.from_local(str(folder))


def read_back(run: Run) -> tuple[dict[str, str], str]:
    """Read the folder that a run returned, and its report; in the driver."""
    run.wait(quiet=True)
    folder = Path(run.outputs()[0].download_sync(tempfile.mkdtemp()))
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.txt")}
    return files, run.get_report()


def abort(run: Run) -> str:
    """Abort the run as a user; in the driver."""
    run.wait(quiet=True, wait_for="running")
    run.abort(reason="enough")
    run.wait(quiet=True)
    return str(run.phase)


other_env = flyte.TaskEnvironment(
    name="surroundings", env_vars={"FROM_TASK": "task"}, secrets=flyte.Secret("password", as_env_var="PASSWORD")
)


@other_env.task
async def surroundings() -> dict[str, str]:
    return dict(os.environ)


@env.task
async def context_of_child() -> dict[str, str]:
    return dict(flyte.ctx().custom_context)


@env.task
async def context() -> list[dict[str, str]]:
    own = dict(flyte.ctx().custom_context)
    with flyte.custom_context(added="by the parent"):
        return [own, await context_of_child()]


class Console(flyte.Link):
    """A link with all its variables."""

    name = "Console"
    icon_uri = "https://console/icon.svg"

    def get_link(
        self,
        run_name: str,
        project: str,
        domain: str,  # noqa: ARG002
        context: dict[str, str],
        parent_action_name: str,
        action_name: str,
        pod_name: str,
        **kwargs: object,  # noqa: ARG002
    ) -> str:
        return "/".join(["https://console", project, run_name, parent_action_name, action_name, pod_name, context["k"]])


@env.task(links=(Console(),))
async def linked_child() -> None:
    """Has a link."""


@env.task(links=(Console(),))
async def linked() -> None:
    with flyte.custom_context(k="inner"):
        await linked_child()


@env.task(cache=flyte.Cache("override", version_override="1"))
async def now() -> float:
    return time.time()


@env.task
async def twice() -> list[float]:
    return [await now(), await now()]
