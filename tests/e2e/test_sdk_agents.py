"""The SDK's agents in tasks: their trials, concurrent tasks, and requests to W&B."""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import (
    get_wandb_run,
    get_wandb_run_dir,
    get_wandb_sweep_id,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb.agents import pyagent
from wandb_artifacts.client import Client, Connection
from wandb_devserver import DevServer, Fault
from wandb_sweeps import AgentBusyError
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import api, manage
from wandb_sweeps._server.lookup import SweepServer
from wandb_sweeps._server.manage import OwnSweep

from tests.e2e.support import create_sweep, run_locally

env = flyte.TaskEnvironment(name="e2e_sdk_agents")

SWEEP = wandb_sweep_config(method="grid", parameters={"lr": {"values": [1.5, 2.5]}})
CONTEXT = {**wandb_config(project="e2e"), **SWEEP}

OF_THE_SDK = pyagent.pyagent

# wandb.init does not close the file of a trial's parameters.
agents = pytest.mark.filterwarnings("ignore:Exception ignored in.*sweep-:pytest.PytestUnraisableExceptionWarning")


# Runs that the objective opens with wandb.init


@env.task
def undecorated() -> bool:
    """A child of an objective has no run, like any undecorated child."""
    return get_wandb_run() is None


def calling_init() -> None:
    before = get_wandb_run()
    run = wandb.init()
    run.summary["before"] = before is None
    run.summary["is the run"] = get_wandb_run() is run
    run.summary["directory"] = get_wandb_run_dir() == run.dir
    run.summary["children"] = undecorated()
    run.summary["sweep"] = get_wandb_sweep_id()
    run.finish()
    assert get_wandb_run() is None


async def calling_init_async() -> None:
    await asyncio.to_thread(calling_init)


@wandb_init(project="own")
@wandb_sweep
@env.task
async def agent_of_undecorated() -> None:
    own = get_wandb_run()
    sweep_id = get_wandb_sweep_id()
    assert own is not None
    assert sweep_id is not None
    for objective in (calling_init, calling_init_async):
        wandb.agent(sweep_id, function=objective, count=1)
    assert get_wandb_run() is own


@agents
def test_undecorated_objective_has_the_run_of_its_trial(wandb_devserver: DevServer) -> None:
    """It is the trial's run from its opening to its end, and not the task's."""
    run_locally(agent_of_undecorated, context=CONTEXT)

    (sweep,) = wandb_devserver.sweeps()
    assert [run.state for run in sweep.trials] == ["finished", "finished"]
    for run in sweep.trials:
        assert [run.summary[key] for key in ("before", "is the run", "directory", "children")] == [True] * 4


def exiting() -> None:
    wandb.init()
    sys.exit(3)


@wandb_sweep
@env.task
def agent_of_exiting() -> None:
    wandb.agent(str(get_wandb_sweep_id()), function=exiting, count=1)


# SystemExit ends the thread of a trial.
@agents
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_system_exit_closes_the_trial_with_its_code(wandb_devserver: DevServer) -> None:
    """The SDK's agent alone does not close it."""
    run_locally(agent_of_exiting, context=CONTEXT)
    assert pyagent.pyagent is OF_THE_SDK

    assert [(run.state, run.exit_code) for run in wandb_devserver.runs()] == [("failed", 3)]


# Projects of agents


@wandb_sweep
@env.task
def agent_by_host(sweep: str) -> None:
    """Run trials of another sweep than the current one."""
    wandb.agent(sweep, function=calling_init, count=1)


@agents
def test_sweep_id_is_resolved_against_the_current_sweep(wandb_devserver: DevServer) -> None:
    """Entity and project are those of the current sweep, not of the environment."""
    sweep = create_sweep("method: grid\nparameters: {lr: {values: [1]}}")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_BASE_URL")
        patch.setenv("WANDB_ENTITY", "wrong")
        configured = wandb_config(project="another", host=wandb_devserver.url)
        run_locally(agent_by_host, str(sweep.ref), context={**CONTEXT, **configured})

    (run,) = wandb_devserver.sweep(str(sweep.ref)).trials
    assert (run.state, run.summary["sweep"]) == ("finished", sweep.id)


# Concurrent tasks

_has_started = threading.Event()
_may_end = threading.Event()


@wandb_init
def waiting_objective() -> None:
    _has_started.set()
    assert _may_end.wait(60)


@wandb_sweep
@env.task
def agent_in_thread(sweep_id: str) -> None:
    wandb.agent(sweep_id, function=waiting_objective, count=1)


@pytest.fixture(autouse=True)
def reset_events() -> Iterator[None]:
    _has_started.clear()
    _may_end.clear()
    yield
    _may_end.set()


@contextlib.asynccontextmanager
async def agent_at_work() -> AsyncIterator[str]:
    sweep_id = get_wandb_sweep_id()
    assert sweep_id is not None
    agent = asyncio.create_task(agent_in_thread.aio(sweep_id))
    assert await asyncio.to_thread(_has_started.wait, 60)
    try:
        yield sweep_id
    finally:
        _may_end.set()
        await agent


@wandb_sweep
@env.task
async def second_agent_on_the_loop() -> str:
    """Start an agent that would block the event loop of the first agent's task."""
    async with agent_at_work() as sweep_id:
        try:
            wandb.agent(sweep_id, function=calling_init, count=1)
        except AgentBusyError as error:
            return str(error)
    return ""


@agents
def test_second_agent_on_the_event_loop_is_refused(wandb_devserver: DevServer) -> None:
    """The first one is not disturbed."""
    refused = run_locally(second_agent_on_the_loop, context=CONTEXT)

    assert "await run_sweep_agent(...) instead" in refused
    (sweep,) = wandb_devserver.sweeps()
    assert [run.state for run in sweep.trials] == ["finished"]


@wandb_sweep(name="beside", parameters={"lr": {"value": 1}})
@env.task
async def creating() -> str | None:
    return get_wandb_sweep_id()


class Waits(logging.Handler):
    """Let the agent end when a task waits for it."""

    def emit(self, record: logging.LogRecord) -> None:
        if "Opening a W&B run or sweep waits" in record.getMessage():
            _may_end.set()


@wandb_sweep(project="e2e")
@env.task
async def creating_beside_an_agent() -> str | None:
    async with agent_at_work():
        return await creating()


@agents
def test_creating_a_sweep_waits_for_a_running_agent(wandb_devserver: DevServer) -> None:
    """The agent's environment variables must not decide where the sweep is created."""
    handler = Waits()
    logging.getLogger("wandb_runtime").addHandler(handler)
    try:
        sweep_id = run_locally(creating_beside_an_agent, context=SWEEP)
    finally:
        logging.getLogger("wandb_runtime").removeHandler(handler)

    assert [sweep.id for sweep in wandb_devserver.sweeps("local/uncategorized")] == [sweep_id]


_is_open = threading.Event()
_may_close = threading.Event()


@wandb_init(project="beside")
@env.task
def closing_meanwhile() -> None:
    _is_open.set()
    assert _may_close.wait(60)


@wandb_sweep
@env.task
async def closing_beside_an_agent() -> list[bool]:
    _is_open.clear()
    _may_close.clear()
    closing = asyncio.create_task(closing_meanwhile.aio())
    assert await asyncio.to_thread(_is_open.wait, 60)
    was_there = wandb.run is not None
    async with agent_at_work():
        _may_close.set()
        await closing
    return [was_there, wandb.run is None]


@agents
def test_closed_run_is_not_restored_after_an_agent(wandb_devserver: DevServer) -> None:
    """`wandb.run` would be a run that accepts no rows."""
    assert run_locally(closing_beside_an_agent, context=CONTEXT) == [True, True]
    (run,) = wandb_devserver.runs("local/beside")
    assert run.state == "finished"


# Requests to W&B while an agent tears down the SDK


def looking_up(sweep: SweepLocation) -> object:
    return SweepServer.of(None).look_up(sweep).state


def reading_trials(sweep: SweepLocation) -> object:
    return [trial.id for trial in SweepServer.of(None).read_trials(sweep, {})]


def ending(sweep: SweepLocation) -> object:
    found = api.find_sweep(Client(), sweep)
    assert found is not None
    manage.end(OwnSweep(sweep, found.id, Connection()), "FINISHED", has_failed=False)
    return looking_up(sweep)


@pytest.mark.parametrize(
    ("request_of", "operation", "expected"),
    [
        (looking_up, "GetSweep", "pending"),
        (reading_trials, "Runs", ["some"]),
        (ending, "UpsertSweep", "finished"),
    ],
)
def test_teardown_of_the_sdk_does_not_disturb_requests(
    request_of: Callable[[SweepLocation], object], operation: str, expected: object, wandb_devserver: DevServer
) -> None:
    sweep = create_sweep("method: grid\nparameters: {lr: {values: [1]}}")
    wandb.init(project="e2e", id="some").finish()
    results: list[object] = []
    late = wandb_devserver.faults.add(Fault("graphql", operation=operation, delay=2))
    requesting = threading.Thread(target=lambda: results.append(request_of(sweep)))
    requesting.start()
    wandb_devserver.faults.wait(late)
    wandb.teardown()
    requesting.join()

    assert results == [expected]


def services() -> set[int]:
    """List the SDK's service processes that this process has started."""
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    mine = (line.split(None, 2) for line in listed if "wandb-core" in line)
    return {int(pid) for pid, parent, _ in mine if int(parent) == os.getpid()}


def test_requests_start_no_service_process(wandb_devserver: DevServer) -> None:
    sweep = create_sweep("method: grid\nparameters: {lr: {values: [1]}}")
    wandb.teardown()
    before = services()
    looking_up(sweep)
    ending(sweep)

    assert services() == before
