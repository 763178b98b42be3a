"""The life of a run in Flyte's local mode, with the real SDKs and a server on loopback."""

import asyncio
from typing import Any

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import get_wandb_run, get_wandb_run_dir, wandb_config, wandb_init
from wandb_devserver import DevServer

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_runs")

PROJECT = "local/e2e"
CONTEXT = wandb_config(project="e2e")


def log(**values: Any) -> str:
    """Log to the current run and return its id."""
    run = get_wandb_run()
    assert run is not None
    run.log(values)
    return run.id


@wandb_init
@env.task
async def finishing_async(value: int) -> str:
    return log(value=value)


@wandb_init(tags=["decorator"], config={"a": 1})
@env.task
def finishing_sync(value: int) -> str:
    return log(value=value)


@pytest.mark.parametrize("task", [finishing_async, finishing_sync], ids=["async", "sync"])
def test_successful_task_leaves_a_finished_run(task: Any, wandb_devserver: DevServer) -> None:
    """The run has its rows, id, default group and job type, and the action in its config."""
    run_id = run_locally(task, 3, context=CONTEXT)
    run = wandb_devserver.run(f"{PROJECT}/{run_id}")
    flyte_run, _, action = run_id.rpartition("-")

    assert (run.state, run.exit_code) == ("finished", 0)
    assert [row["value"] for row in run.history] == [3]
    assert (run.group, run.job_type) == (flyte_run, task.short_name)
    metadata = run.config["flyte"]
    assert isinstance(metadata, dict)
    assert (metadata["run"], metadata["action"], metadata["task"]) == (flyte_run, action, task.short_name)
    assert metadata["attempt"] == 0
    assert None not in metadata.values()
    assert "" not in metadata.values()


@wandb_init
@env.task
async def failing_async() -> str:
    log(value=1)
    msg = "the body's own"
    raise ValueError(msg)


@wandb_init
@env.task
def failing_sync() -> str:
    log(value=1)
    msg = "the body's own"
    raise ValueError(msg)


@pytest.mark.parametrize("task", [failing_async, failing_sync], ids=["async", "sync"])
def test_failing_task_leaves_a_failed_run(task: Any, wandb_devserver: DevServer) -> None:
    """The run has its rows; the user sees the exception of the body."""
    with pytest.raises(flyte.errors.RuntimeUserError, match="the body's own") as caught:
        run_locally(task, context=CONTEXT)

    (run,) = wandb_devserver.runs(PROJECT)
    assert caught.value.code == "ValueError"
    assert (run.state, run.exit_code) == ("failed", 1)
    assert [row["value"] for row in run.history] == [1]


@wandb_init(config={"child": 1, "parent": 2}, tags=["child"], name="not this", group="nor this")
@env.task
async def joining(value: int) -> str:
    return log(value=value)


@wandb_init(run_mode="new", tags=["new"])
@env.task
async def opening(value: int) -> str:
    return log(value=value)


@env.task
async def undecorated() -> bool:
    return get_wandb_run() is None


@env.task
async def passing_on() -> str:
    return await joining(value=5)


@wandb_init(config={"parent": 1}, name="parent", group="group")
@env.task
async def family() -> list[str]:
    own = log(value=1)
    joined, opened = await asyncio.gather(joining(value=2), opening(value=3))
    assert await undecorated()
    grandchild = await passing_on()
    assert log(value=4) == own
    return [own, joined, opened, grandchild]


def test_children_join_or_open_a_run(wandb_devserver: DevServer) -> None:
    """`auto` joins the parent's run, also below an undecorated task; `new` opens one in the group."""
    own, joined, opened, grandchild = run_locally(family, context=CONTEXT)
    parent, child = (wandb_devserver.run(f"{PROJECT}/{run_id}") for run_id in (own, opened))

    assert own == joined == grandchild != opened
    assert sorted(str(row["value"]) for row in parent.history) == ["1", "2", "4", "5"]
    assert (parent.config["child"], parent.config["parent"]) == (1, 2)
    assert (parent.name, parent.group, parent.tags) == ("parent", "group", ["child"])
    assert [row["value"] for row in child.history] == [3]
    assert (child.tags, child.group) == (["new"], own.rpartition("-")[0])
    assert {parent.state, child.state} == {"finished"}


@wandb_init
@env.task
async def failing_child() -> str:
    msg = "only the child"
    raise ValueError(msg)


@wandb_init
@env.task
async def surviving() -> str:
    with pytest.raises(flyte.errors.RuntimeUserError, match="only the child"):
        await failing_child()
    return log(after=1)


def test_failing_child_leaves_the_parent_run_running(wandb_devserver: DevServer) -> None:
    """The task that opened a run ends it."""
    run = wandb_devserver.run(f"{PROJECT}/{run_locally(surviving, context=CONTEXT)}")

    assert (run.state, [row["after"] for row in run.history]) == ("finished", [1])


@flyte.trace
async def traced(value: int) -> str:
    return log(value=value)


@wandb_init
@env.task
async def with_trace() -> list[str]:
    return [log(value=1), await traced(value=2), *await asyncio.gather(*(asyncio.to_thread(log, value=3) for _ in "a"))]


def test_traces_and_threads_share_the_run(wandb_devserver: DevServer) -> None:
    """A trace, and a thread started with the task's context, log to its run."""
    ids = run_locally(with_trace, context=CONTEXT)

    assert len(set(ids)) == 1
    assert [row["value"] for row in wandb_devserver.run(f"{PROJECT}/{ids[0]}").history] == [1, 2, 3]


@wandb_init(run_mode="new")
@env.task
async def looking_at_wandb_run() -> bool:
    return wandb.run is None


@wandb_init
@env.task
async def found_by_libraries() -> str:
    assert wandb.run is get_wandb_run()
    wandb.log({"global": 1})
    assert await looking_at_wandb_run()
    assert wandb.run is get_wandb_run()
    return get_wandb_run_dir() or ""


def test_wandb_run_is_set_while_one_run_is_open(wandb_devserver: DevServer) -> None:
    """With two open runs, `wandb.run` and `wandb.log` belong to neither."""
    directory = run_locally(found_by_libraries, context=CONTEXT)
    runs = wandb_devserver.runs(PROJECT)

    assert wandb.run is None
    assert sorted(len(run.history) for run in runs) == [0, 1]
    assert directory.endswith("/files")


@wandb_init(run_mode="new")
@env.task
async def isolated(value: int) -> str:
    run = get_wandb_run()
    assert run is not None
    for _ in range(5):
        run.log({"value": value})
        await asyncio.sleep(0)
    assert await nested(value=value) == run.id
    return run.id


@wandb_init
@env.task
async def nested(value: int) -> str:
    return log(value=value)


@env.task
async def many(count: int) -> list[str]:
    return list(await asyncio.gather(*(isolated(value=value) for value in range(count))))


def test_parallel_tasks_log_to_their_own_runs(wandb_devserver: DevServer) -> None:
    """Children that join them log to the same runs."""
    ids = run_locally(many, 20, context=CONTEXT)

    logged = [[row["value"] for row in wandb_devserver.run(f"{PROJECT}/{run_id}").history] for run_id in ids]
    assert logged == [[value] * 6 for value in range(20)]


@wandb_init
@env.task(retries=2)
async def recovering(fail_below: int) -> str:
    run = get_wandb_run()
    assert run is not None
    attempt = run.config["flyte"]["attempt"]
    run.log({"attempt": attempt})
    if attempt < fail_below:
        msg = "not yet"
        raise RuntimeError(msg)
    return run.id


def test_retry_continues_the_run(wandb_devserver: DevServer) -> None:
    """One action has one run with the history of all attempts and the attempt number in its config."""
    run_id = run_locally(recovering, 2, context=CONTEXT)
    (run,) = wandb_devserver.runs(PROJECT)

    assert run.id == run_id
    assert [row["attempt"] for row in run.history] == [0, 1, 2]
    assert run.config["flyte"]["attempt"] == 2  # type: ignore[index, call-overload]
    assert (run.state, run.exit_code) == ("finished", 0)


body_has_started = asyncio.Event()


@wandb_init(run_mode="new")
@env.task
async def waiting_forever() -> str:
    log(value=1)
    body_has_started.set()
    await asyncio.Event().wait()
    return ""


@env.task
async def cancelling() -> str:
    child = asyncio.ensure_future(waiting_forever())
    await body_has_started.wait()
    child.cancel()
    with pytest.raises(asyncio.CancelledError):
        await child
    return "done"


def test_cancelled_task_leaves_a_failed_run(wandb_devserver: DevServer) -> None:
    """The body receives the cancellation."""
    run_locally(cancelling, context=CONTEXT)
    (run,) = wandb_devserver.runs(PROJECT)

    assert (run.state, run.exit_code) == ("failed", 1)
