"""Bodies that fork, and service processes of the SDK that hang or die."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import flyte
import pytest
from flyteplugins.wandb import NoRunError, get_wandb_run, wandb_config, wandb_init
from wandb_devserver import DevServer

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_processes")

PROJECT = "local/e2e"
CONTEXT = wandb_config(project="e2e")


def fail() -> None:
    msg = "in the child"
    raise ValueError(msg)


WAYS: dict[str, tuple[Callable[[], object], int]] = {
    "returns": (lambda: None, 0),
    "raises": (fail, 1),
    "exits": (lambda: sys.exit(3), 3),
    "exits with a text": (lambda: sys.exit("reason"), 1),
    "leaves at once": (lambda: os._exit(4), 4),
    "has no run": (lambda: os._exit(0 if get_wandb_run() is None else 1), 0),
}


def fork(way: str) -> int:
    """Fork; return the exit code of the child, which leaves the body in the given way."""
    get_wandb_run(required=True).log({"x": 1})
    child = os.fork()
    if child == 0:
        WAYS[way][0]()
        return -1
    _, status = os.waitpid(child, 0)
    get_wandb_run(required=True).log({"x": 2})
    return os.waitstatus_to_exitcode(status)


@wandb_init
@env.task
async def forking(way: str) -> int:
    return fork(way)


@wandb_init
@env.task
def forking_sync(way: str) -> int:
    return fork(way)


@pytest.mark.parametrize("task", [forking, forking_sync], ids=["async", "sync"])
@pytest.mark.parametrize("way", WAYS)
def test_forked_child_ends_with_its_own_exit_code(way: str, task: Any, wandb_devserver: DevServer) -> None:
    """It neither hangs nor closes the run of its parent."""
    assert run_locally(task, way, context=CONTEXT) == WAYS[way][1]

    (run,) = wandb_devserver.runs(PROJECT)
    assert (run.state, [row["x"] for row in run.history]) == ("finished", [1, 2])


def find_run(_: int) -> bool:
    return get_wandb_run() is not None


@wandb_init
@env.task
def using_pools(methods: list[str]) -> list[bool]:
    found = []
    for method in methods:
        with multiprocessing.get_context(method).Pool(1) as pool:
            found += pool.map(find_run, [1])
    return found


def test_processes_of_pools_have_no_run(wandb_devserver: DevServer) -> None:
    assert run_locally(using_pools, ["fork", "spawn"], context=CONTEXT) == [False, False]
    assert [run.state for run in wandb_devserver.runs(PROJECT)] == ["finished"]


outcome: list[str] = []


@wandb_init
@env.task
async def leaving_a_thread() -> str:
    import contextvars

    run = get_wandb_run(required=True)
    has_ended = threading.Event()

    def look() -> None:
        has_ended.wait()
        try:
            get_wandb_run(required=True)
        except NoRunError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(look,))
    thread.start()
    leftovers.append((thread, has_ended))
    return run.id


leftovers: list[tuple[threading.Thread, threading.Event]] = []


def test_thread_that_outlives_its_task_has_no_run(wandb_devserver: DevServer) -> None:
    """It does not open the run again."""
    run_locally(leaving_a_thread, context=CONTEXT)
    ((thread, has_ended),) = leftovers
    has_ended.set()
    thread.join()

    assert "has ended with its task" in outcome[0]
    assert [run.state for run in wandb_devserver.runs(PROJECT)] == ["finished"]


def signal_service(number: int) -> None:
    from wandb_runtime.server import sdk_private

    process = sdk_private._service_process(get_wandb_run(required=True)._wl)
    assert process is not None
    process.send_signal(number)


@wandb_init(finish_timeout=1)
@env.task
async def losing_the_service(number: int) -> str:
    run = get_wandb_run(required=True)
    run.log({"x": 1})
    signal_service(number)
    return run.id


@wandb_init
@env.task
async def logging() -> str:
    run = get_wandb_run(required=True)
    run.log({"x": 1})
    return run.id


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_lost_service_delays_neither_result_nor_next_task(
    number: int, wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The task keeps its result, one warning has the remedy, and the next task has a new service process."""
    caplog.set_level("WARNING", logger="wandb_runtime")
    lost = run_locally(losing_the_service, int(number), context=CONTEXT)
    (warning,) = [record.message for record in caplog.records if record.name == "wandb_runtime"]
    following = run_locally(logging, context=CONTEXT)

    assert f"{PROJECT}/{lost} was not uploaded completely" in warning
    assert "wandb sync" in warning
    run = wandb_devserver.run(f"{PROJECT}/{following}")
    assert (run.state, [row["x"] for row in run.history]) == ("finished", [1])
