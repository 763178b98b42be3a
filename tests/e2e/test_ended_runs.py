"""Runs that the body or a library ends before the task does."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from wandb_devserver import DevServer
from wandb_runtime.server import sdk_private

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_ended_runs")

PROJECT = "local/e2e"
CONTEXT = wandb_config(project="e2e", config={"seed": 1}, tags=["kept"])


def finish() -> None:
    get_wandb_run(required=True).finish()


def leave_block() -> None:
    with get_wandb_run(required=True) as run:
        run.log({"x": "block"})


def fail_in_block() -> None:
    with contextlib.suppress(ZeroDivisionError), get_wandb_run(required=True):
        1 / 0  # noqa: B018


def reinit() -> None:
    wandb.init(project="other", reinit=True).finish()


def finish_previous() -> None:
    wandb.init(project="other", reinit="finish_previous").finish()


service_was_killed = threading.Event()


def tear_down() -> None:
    """Call `wandb.teardown()`, and kill the SDK's service process if that does not end.

    The SDK closes its connection behind the message that ends the process, and then waits without a limit. If the
    process has a response to send at that moment, it drops the connection before it has read the last messages, with
    rows and config: its log then has "flush error" and "broken pipe".
    """
    service_was_killed.clear()
    kill = threading.Timer(20, sdk_private.kill_service, [get_wandb_run(required=True)])
    kill.start()
    try:
        wandb.teardown()
    except SystemExit as exit_:
        if exit_.code != -signal.SIGKILL:
            raise
        service_was_killed.set()
    finally:
        kill.cancel()


WAYS: dict[str, Callable[[], None]] = {
    "finish": finish,
    "block": leave_block,
    "failed block": fail_in_block,
    "reinit": reinit,
    "finish_previous": finish_previous,
    "teardown": tear_down,
}


def log(value: str) -> None:
    get_wandb_run(required=True).log({"x": value})


@wandb_init
@env.task
async def joining() -> None:
    log("child")


@wandb_init
@env.task
def joining_sync() -> None:
    log("child")


@wandb_init
@env.task
async def ending(way: str, uses_after: bool, fails: bool) -> str:
    run_id = get_wandb_run(required=True).id
    log("before")
    WAYS[way]()
    if uses_after:
        log("after")
        await joining()
        wandb.log({"x": "global"})
    if fails:
        raise ValueError(way)
    return run_id


@wandb_init
@env.task
def ending_sync(way: str, uses_after: bool, fails: bool) -> str:
    run_id = get_wandb_run(required=True).id
    log("before")
    WAYS[way]()
    if uses_after:
        log("after")
        joining_sync()
        wandb.log({"x": "global"})
    if fails:
        raise ValueError(way)
    return run_id


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return the library's warnings about ended runs so far."""
    caplog.set_level(logging.WARNING, logger="wandb_runtime")
    return lambda: [record.message for record in caplog.records if "before its task ended" in record.message]


def join_sdk_threads() -> None:
    """Wait for the SDK's threads, which raise when their service is shut down: later tests are not to see it."""
    for thread in threading.enumerate():
        if thread.name == "NetStatThr":
            thread.join(30)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("task", [ending, ending_sync], ids=["async", "sync"])
@pytest.mark.parametrize(
    ("uses_after", "fails"), [(False, False), (False, True), (True, True)], ids=["returns", "fails", "used, fails"]
)
@pytest.mark.parametrize("way", WAYS)
def test_ended_run_gets_the_outcome_of_the_task(
    way: str,
    uses_after: bool,
    fails: bool,
    task: Any,
    wandb_devserver: DevServer,
    warnings: Callable[[], list[str]],
) -> None:
    """Its rows, config and tags are kept; a later use logs to it, with one warning that names what has ended it."""
    with pytest.raises(flyte.errors.RuntimeUserError, match=way) if fails else contextlib.nullcontext():
        run_locally(task, way, uses_after, fails, context=CONTEXT)
    join_sdk_threads()

    (run,) = wandb_devserver.runs(PROJECT)
    assert (run.state, run.exit_code) == (("failed", 1) if fails else ("finished", 0))
    if way == "teardown" and service_was_killed.is_set():
        pytest.skip("the state is right, but the SDK's service process has dropped what was logged last")
    expected = ["before", *(["block"] if way == "block" else []), *(["after", "child", "global"] if uses_after else [])]
    assert [row["x"] for row in run.history] == expected
    assert (run.config["seed"], run.tags, run.config["flyte"]["attempt"]) == (1, ["kept"], 0)  # type: ignore[index, call-overload]
    assert wandb.run is None
    assert len(warnings()) == (1 if uses_after else 0)
    reason = "wandb.teardown()" if way == "teardown" else "run.finish()"
    assert all(f"was ended by {reason}" in text for text in warnings())
