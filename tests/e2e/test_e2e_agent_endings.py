"""How agents of `run_sweep_agent` end: whatever becomes of the sweep meanwhile, they do, and say why."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flyte
import pytest
import wandb
from flyteplugins.wandb import (
    AgentResult,
    get_wandb_run,
    get_wandb_run_dir,
    get_wandb_sweep_id,
    run_sweep_agent,
    wandb_config,
    wandb_init,
)
from wandb_devserver import DevServer
from wandb_sweeps._sdk import Connection

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_agent_endings")

# Flyte's types of dataclasses make it.
pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`")


def sweep_of(*values: Any) -> str:
    """Makes a sweep that tries these values of `how`, and returns its full path."""
    config = f"method: grid\nparameters: {{how: {{values: {list(values)}}}}}"
    made = Connection.to(None, timeout=10).upsert_sweep(config=config, entityName="local", projectName="e2e")
    return f"local/e2e/{made['sweep']['name']}"


# What the test does while an agent is at work, in the same process as local tasks are.
_server: list[DevServer] = []


@pytest.fixture(autouse=True)
def known_server(wandb_devserver: DevServer) -> Iterator[None]:
    _server.append(wandb_devserver)
    yield
    _server.clear()


async def has_logged(sweep: str) -> None:
    while not any("row" in run.summary for run in _server[0].sweep(sweep).trials):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


@wandb_init
def until_told() -> None:
    """Goes on until the test lets it, which it tells by a file."""
    run = get_wandb_run()
    assert run is not None
    run.log({"row": 1})
    while not Path(run.config["how"]).exists():
        time.sleep(0.05)
    run.log({"row": 2})


@env.task
async def agent_of_a_sweep_that_is_deleted(sweep: str, mark: str) -> AgentResult:
    """Deletes it in mid-trial; the trial goes on until the agent has noticed."""
    agent = asyncio.ensure_future(run_sweep_agent(until_told, sweep_id=sweep))
    await has_logged(sweep)
    heartbeats = _server[0].requests.count("graphql", "Heartbeat")
    _server[0].delete_sweep(sweep)
    await asyncio.to_thread(_server[0].requests.wait, "graphql", "Heartbeat", count=heartbeats + 1)
    await asyncio.to_thread(Path(mark).touch)
    return await agent


def test_a_sweep_that_is_deleted_in_mid_trial(
    wandb_devserver: DevServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The trial ends by itself and its run is kept; the agent says why it takes no further one."""
    mark = tmp_path / "mark"
    result: AgentResult = run_locally(agent_of_a_sweep_that_is_deleted, sweep_of(str(mark), "never"), str(mark))

    assert (result.ended, result.counts) == ("deleted", {"finished": 1})
    assert result.trials[0].summary["row"] == 2
    assert "has been deleted; trial" in caplog.text
    assert [run.state for run in wandb_devserver.runs()] == ["finished"]


# The run of a trial that the objective opens by itself


def calling_init() -> None:
    before = get_wandb_run()
    run = wandb.init()
    run.summary["before"] = before is None
    run.summary["is the run"] = get_wandb_run() is run
    run.summary["directory"] = get_wandb_run_dir() == run.dir
    run.summary["sweep"] = get_wandb_sweep_id()
    run.finish()
    assert get_wandb_run() is None


async def calling_init_async() -> None:
    await asyncio.to_thread(calling_init)


@wandb_init(project="own")
@env.task
async def agents_of_undecorated(sweep: str) -> list[AgentResult]:
    return [await run_sweep_agent(each, sweep_id=sweep, count=1) for each in (calling_init, calling_init_async)]


def test_run_of_an_undecorated_objective(wandb_devserver: DevServer) -> None:
    """It is found as that of a decorated one is: from its opening to its end."""
    sweep = sweep_of(1, 2)
    results: list[AgentResult] = run_locally(agents_of_undecorated, sweep, context=wandb_config(project="e2e"))

    assert [(trial.state, trial.error) for result in results for trial in result.trials] == [("finished", "")] * 2
    for run in wandb_devserver.sweep(sweep).trials:
        assert [run.summary[key] for key in ("before", "is the run", "directory")] == [True, True, True]
        assert run.summary["sweep"] == run.sweep
