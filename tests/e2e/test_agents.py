"""Sweep agents in Flyte's local mode: trials in separate processes, fan-out, failures of all kinds."""

import asyncio
import atexit
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import (
    AgentResult,
    SweepResult,
    fan_out_sweep_agents,
    get_wandb_context,
    get_wandb_run,
    get_wandb_sweep_id,
    run_sweep_agent,
    sweep_agent,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb_artifacts.client import Client
from wandb_devserver import DevServer, Fault
from wandb_sweeps._agents.forkserver import client
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import api

from tests.e2e.objectives import calling_init, calling_init_async, decorated_async
from tests.e2e.support import create_grid as sweep_of
from tests.e2e.support import create_sweep, run_locally
from tests.e2e.support import set_sweep_state as set_state
from tests.support.preloaded.client import popen

env = flyte.TaskEnvironment(name="e2e_agents")

pytestmark = [
    pytest.mark.usefixtures("objectives_by_value"),
    # Raised by Flyte's types of dataclasses.
    pytest.mark.filterwarnings("ignore:Support for class-based `config`"),
]

GRID = wandb_sweep_config(
    method="grid", metric={"name": "loss", "goal": "minimize"}, parameters={"lr": {"values": [3, 1, 2]}}
)


def take_trial(sweep: str) -> None:
    """An agent that registers and does nothing else."""
    entity, project, name = sweep.split("/")
    client = Client()
    agent = api.create_agent(client, SweepLocation(name, entity, project, client.host), "elsewhere")
    assert api.heartbeat(Client(), agent, None)


_servers: list[DevServer] = []


@pytest.fixture(autouse=True)
def known_server(wandb_devserver: DevServer) -> Iterator[None]:
    _servers.append(wandb_devserver)
    yield
    _servers.clear()


# The environment of trials


@wandb_init
def logging_its_context() -> None:
    run = get_wandb_run()
    assert run is not None
    run.summary["sweep"] = get_wandb_sweep_id()
    run.summary["context"] = [get_wandb_context().project, get_wandb_context().name]
    run.summary["is_fresh"] = "wandb_devserver" not in sys.modules
    run.log({"loss": run.config["lr"]})
    print(f"trying {run.config['lr']}")  # noqa: T201


@wandb_init
@wandb_sweep
@env.task
async def agent_beside_a_run() -> AgentResult:
    """Runs an agent while its own run is open and its event loop is used."""
    run = get_wandb_run()
    assert run is not None
    before = dict(os.environ)
    agent = asyncio.ensure_future(run_sweep_agent(logging_its_context, count=2))
    while not agent.done():
        run.log({"tick": 1})
        await asyncio.sleep(0.05)
    changed = {name for name in before.keys() | os.environ if before.get(name) != os.environ.get(name)}
    run.summary["changed"] = sorted(changed - {"WANDB_SERVICE"})
    assert wandb.run is run
    return await agent


@pytest.mark.usefixtures("no_forkserver")  # The forkserver prints to the standard streams of its start.
def test_trials_see_parameters_sweep_and_configuration(
    wandb_devserver: DevServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """The task's own run and environment are unchanged afterwards."""
    config = wandb_config(project="e2e", name="not the trials'", tags=["a"], group="g", config={"data": "digits"})
    result: AgentResult = run_locally(agent_beside_a_run, context={**config, **GRID})

    (sweep,) = wandb_devserver.sweeps()
    trials = [wandb_devserver.run(f"local/e2e/{trial.id}") for trial in result.trials]
    (own,) = [run for run in wandb_devserver.runs() if run.sweep is None]
    assert (result.ended, result.counts, result.sweep_id) == ("count", {"finished": 2}, f"local/e2e/{sweep.id}")
    assert [trial.summary["loss"] for trial in result.trials] == [3, 1]
    assert [trial.config["lr"] for trial in result.trials] == [3, 1]
    for run in trials:
        assert (run.state, run.sweep, run.tags, run.group) == ("finished", sweep.id, ["a"], "g")
        assert run.config["data"] == "digits"
        assert run.summary["sweep"] == sweep.id
        assert run.summary["context"] == ["e2e", None]
        assert run.summary["is_fresh"] is True
    assert (own.state, own.summary["changed"]) == ("finished", [])
    assert sum("tick" in row for row in own.history) >= 10
    assert "trying 3\ntrying 1\n" in capfd.readouterr().out


@env.task
async def three_agents(sweep: str) -> list[AgentResult]:
    nested = [4]

    @wandb_init
    def closure() -> None:
        wandb.log({"loss": nested[0]})

    objectives = (decorated_async, calling_init, calling_init_async, closure)
    return [await run_sweep_agent(objective, sweep_id=sweep, count=1) for objective in objectives]


def test_objectives_of_every_kind_run(wandb_devserver: DevServer) -> None:
    """Decorated or calling wandb.init, sync or async, at module level or nested."""
    results: list[AgentResult] = run_locally(three_agents, sweep_of(1, 2, 3, 4))

    assert [result.trials[0].summary["loss"] for result in results] == [1, 2, 3, 4]
    assert {result.trials[0].state for result in results} == {"finished"}


SCRIPT = """
import flyte
from flyteplugins.wandb import *

env = flyte.TaskEnvironment(name="script")
factor = 2

@wandb_init
def objective():
    run = get_wandb_run()
    run.log({"loss": factor * run.config["lr"]})

@wandb_sweep
@env.task
async def search() -> AgentResult:
    return await run_sweep_agent(objective)

flyte.init()
context = {**wandb_config(project="e2e"), **wandb_sweep_config(method="grid", parameters={"lr": {"values": [1, 2]}})}
result = flyte.with_runcontext(mode="local", custom_context=context).run(search).outputs()[0]
print("losses", [trial.summary["loss"] for trial in result.trials], result.ended)
"""


def test_objective_in_a_script_without_main_guard(wandb_devserver: DevServer, tmp_path: Path) -> None:
    """The script is not executed a second time."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with popen([sys.executable, str(script)], os.environ, tmp_path) as process:
        output, errors = process.communicate(timeout=100)

    assert process.returncode == 0, errors
    assert output.count("losses [2, 4] finished\n") == 1
    assert len(wandb_devserver.sweeps()) == 1


# Trials that fail


@wandb_init
def dying() -> None:
    how = wandb.config["how"]
    wandb.log({"row": 1})
    if how == "raise":
        msg = "too steep"
        raise ValueError(msg)
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        ctypes.string_at(0)


def without_run() -> None:
    """Opens no run."""


@env.task
async def agent_of(objective: str, sweep: str, max_failures: int | None = None) -> AgentResult:
    return await run_sweep_agent(globals()[objective], sweep_id=sweep, max_failures=max_failures, idle_timeout=10)


def test_killed_trials_fail_and_the_next_trial_runs(wandb_devserver: DevServer) -> None:
    """The reason is reported, and W&B shows the trials as failed."""
    result: AgentResult = run_locally(agent_of, "dying", sweep_of("raise", "exit", "kill", "segfault", "return"), None)

    errors = {trial.config["how"]: trial.error for trial in result.trials}
    assert errors == {
        "raise": "ValueError: too steep",
        "exit": "its process exited with code 3 before the objective returned",
        "kill": "its process was killed by SIGKILL; it may have run out of memory",
        "segfault": "its process was killed by SIGSEGV",
        "return": "",
    }
    assert [trial.state for trial in result.trials] == ["failed"] * 4 + ["finished"]
    assert [run.state for run in wandb_devserver.runs()] == ["failed"] * 4 + ["finished"]


@wandb_init
def listing_late_imports() -> None:
    before = set(sys.modules)
    file = Path(wandb.config["how"])
    atexit.register(lambda: file.write_text("\n".join(set(sys.modules) - before)))


def test_trial_imports_nothing_slow(wandb_devserver: DevServer, tmp_path: Path) -> None:
    """All that its run needs until its end, aiohttp among it, was imported before its process was forked."""
    listing = tmp_path / "modules"
    result: AgentResult = run_locally(agent_of, "listing_late_imports", sweep_of(str(listing)))

    assert result.counts == {"finished": 1}
    late = {name.partition(".")[0] for name in listing.read_text().split()}
    assert not late & {"aiohttp", "flyte", "msgspec", "opentelemetry", "requests", "wandb", "wandb_artifacts"}


def test_objective_that_opens_no_run_counts_as_failed(
    wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent ends after `max_failures` of them."""
    sweep = sweep_of(1, 2, 3)
    result: AgentResult = run_locally(agent_of, "without_run", sweep, 2)

    assert result.ended == "failures"
    assert [trial.state for trial in result.trials] == ["failed", "failed"]
    assert "opened no W&B run" in result.trials[0].error
    assert "its last 2 trials failed" in caplog.text


# Trials that are stopped


@wandb_init
def waiting() -> None:
    wandb.log({"row": 1})
    while True:
        time.sleep(600)


@wandb_init
def stubborn() -> None:
    """Ignores the request to end."""
    wandb.log({"row": 1})
    while True:
        with contextlib.suppress(SystemExit):
            time.sleep(600)


@env.task
async def cancelled_sweep(objective: str, sweep: str) -> AgentResult:
    agent = asyncio.ensure_future(run_sweep_agent(globals()[objective], sweep_id=sweep))
    await trial_has_logged(sweep)
    await asyncio.to_thread(set_state, sweep, "CANCELED")
    return await agent


async def trial_has_logged(sweep: str) -> None:
    """Read the test's server, which runs in the same process as local tasks."""
    while not any("row" in run.summary for run in _servers[-1].sweep(sweep).trials):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("objective", ["waiting", "stubborn"])
def test_stopped_trial_ends_and_keeps_its_rows(objective: str, wandb_devserver: DevServer) -> None:
    """The objective may ignore the request; a stopped trial does not count as failed."""
    result: AgentResult = run_locally(cancelled_sweep, objective, sweep_of(1, 2))

    (trial,) = result.trials
    (run,) = wandb_devserver.runs()
    assert (result.ended, trial.error, trial.state) == ("finished", "stopped by W&B", run.state)
    assert (run.exit_code, [row["row"] for row in run.history]) == (1, [1])


@env.task
async def cancelling(sweep: str) -> str:
    agent = asyncio.ensure_future(run_sweep_agent(waiting, sweep_id=sweep))
    await trial_has_logged(sweep)
    agent.cancel()
    try:
        await agent
    except asyncio.CancelledError:
        return "cancelled"
    return "ended"


def test_cancelled_agent_ends_its_trial_first(wandb_devserver: DevServer) -> None:
    """W&B then gives the trial to another agent."""
    assert run_locally(cancelling, sweep_of(1)) == "cancelled"

    (run,) = wandb_devserver.runs()
    assert (run.state, run.exit_code) == ("preempted", 143)


# Paused, deleted and unreachable sweeps


@env.task
async def with_short_timeout(sweep: str, project: str | None = None) -> AgentResult:
    return await run_sweep_agent(decorated_async, sweep_id=sweep, project=project, idle_timeout=0.5)


@env.task
async def without_sweep() -> AgentResult:
    return await run_sweep_agent(decorated_async)


def test_agent_of_a_paused_sweep_ends_after_idle_timeout(wandb_devserver: DevServer) -> None:
    sweep = sweep_of(1, 2)
    take_trial(sweep)
    set_state(sweep, "PAUSED")

    assert run_locally(with_short_timeout, sweep).ended == "idle"


def test_failing_heartbeats_are_retried_up_to_idle_timeout(wandb_devserver: DevServer) -> None:
    sweep = sweep_of(1)
    wandb_devserver.faults.add(Fault("graphql", operation="Heartbeat", status=403, count=2))
    assert run_locally(with_short_timeout, sweep).counts == {"finished": 1}

    wandb_devserver.faults.add(Fault("graphql", operation="Heartbeat", status=403, count=None))
    with pytest.raises(flyte.errors.RuntimeUserError, match="the API key has no access"):
        run_locally(with_short_timeout, sweep)


def test_unknown_sweep_raises_before_any_trial(wandb_devserver: DevServer) -> None:
    """The error names what to check."""
    sweep = sweep_of(1)
    wandb_devserver.delete_sweep(sweep)
    for given in (sweep, "local/e2e/nope"):
        with pytest.raises(flyte.errors.RuntimeUserError, match="does not exist in local/e2e"):
            run_locally(with_short_timeout, given)
    with pytest.raises(flyte.errors.RuntimeUserError, match="sweep_id='entity/project/id'"):
        run_locally(with_short_timeout, sweep_of(1).split("/")[-1], "another")
    with pytest.raises(flyte.errors.RuntimeUserError, match="is a sweep of project 'e2e', not of 'another'"):
        run_locally(with_short_timeout, sweep_of(1), "another")
    with pytest.raises(flyte.errors.RuntimeUserError, match="this task has no current sweep"):
        run_locally(without_sweep)
    assert wandb_devserver.runs() == []


# Fan-out


@wandb_init
def loss_is_lr() -> None:
    run = get_wandb_run()
    assert run is not None
    if run.config["lr"] == 2:
        run.config["unmeasured"] = True
    else:
        run.log({"loss": run.config["lr"]})


@sweep_agent(env)
@wandb_init
async def from_objective() -> None:
    await asyncio.to_thread(loss_is_lr)


@env.task
async def second_one_fails(agent_id: int, sweep_id: str, count: int = 1) -> AgentResult:
    if agent_id == 2:
        msg = "no GPU"
        raise RuntimeError(msg)
    return await run_sweep_agent(loss_is_lr, sweep_id=sweep_id, count=count, name=f"agent-{agent_id}")


@wandb_sweep
@env.task
async def search(task: str, agents: int, trials: int | None = None) -> SweepResult:
    return await fan_out_sweep_agents(globals()[task], num_agents=agents, trials_per_agent=trials)


def test_fan_out_tries_every_grid_point_once(wandb_devserver: DevServer) -> None:
    """The best trial follows the goal of the sweep."""
    result: SweepResult = run_locally(search, "from_objective", 2, context={**wandb_config(project="e2e"), **GRID})

    (sweep,) = wandb_devserver.sweeps()
    assert (result.sweep_id, result.state, result.errors) == (f"local/e2e/{sweep.id}", "finished", {})
    assert result.url == f"{wandb_devserver.url}/local/e2e/sweeps/{sweep.id}"
    assert result.counts == {"finished": 3}
    assert {trial.agent for trial in result.trials} <= {"agent-1", "agent-2"}
    assert result.best is not None
    assert [trial.config["lr"] for trial in result.ranked] == [1, 3, 2]
    assert result.best.summary == {"loss": 1}


_templates: list[object] = []


@env.task
async def noting_its_template(agent_id: int, sweep_id: str, count: int = 1) -> AgentResult:
    result = await run_sweep_agent(loss_is_lr, sweep_id=sweep_id, count=count)
    _templates.append(client._forkserver)
    return result


@wandb_sweep
@env.task
async def one_by_one(agents: int) -> SweepResult:
    return await fan_out_sweep_agents(noting_its_template, num_agents=agents, trials_per_agent=1, max_parallel=1)


@pytest.mark.usefixtures("no_forkserver")
def test_agents_of_a_process_share_a_template_process(wandb_devserver: DevServer) -> None:
    """It starts with the first agent and ends with the last."""
    _templates.clear()
    result: SweepResult = run_locally(one_by_one, 3, context={**wandb_config(project="e2e"), **GRID})

    assert result.counts == {"finished": 3}
    assert len(_templates) == 3
    assert _templates[0] is not None
    assert _templates[0] is _templates[1] is _templates[2]
    assert client._forkserver is None


def test_failing_agent_does_not_stop_the_others(wandb_devserver: DevServer) -> None:
    """The result reports it; if all agents fail, so does the fan-out."""
    context = {**wandb_config(project="e2e"), **GRID}
    result: SweepResult = run_locally(search, "second_one_fails", 3, context=context)
    assert list(result.errors) == ["agent-2"]
    assert "no GPU" in result.errors["agent-2"]
    assert {trial.agent for trial in result.trials} == {"agent-1", "agent-3"}

    with pytest.raises(flyte.errors.RuntimeUserError, match=r"all 1 sweep agents failed; agent-1: .*no GPU"):
        run_locally(search, "always_failing", 1, context=context)


@env.task
async def always_failing(agent_id: int, sweep_id: str, count: int = 1) -> int:
    msg = "no GPU"
    raise RuntimeError(msg)


@env.task
async def misnamed(agent: int, sweep_id: str, count: int = 1) -> int:
    return agent


@env.task
async def demanding(agent_id: int, sweep_id: str, count: int, gpu: str) -> int:
    return agent_id


@env.task
async def needs_count(agent_id: int, sweep_id: str, count: int) -> int:
    return agent_id


@pytest.mark.parametrize(
    ("task", "agents", "trials", "message"),
    [
        ("always_failing", 0, None, "num_agents=0: must be a whole number above 0"),
        ("always_failing", 1, 0, "trials_per_agent=0"),
        ("misnamed", 1, None, "lacks the parameter agent_id; make it `async def agent"),
        ("demanding", 1, 1, "requires gpu, which the fan-out does not pass"),
        ("needs_count", 1, None, "requires count, which the fan-out does not pass; give trials_per_agent"),
        ("decorated_async", 1, 1, "must be a Flyte task"),
    ],
)
def test_invalid_fan_out_raises_before_any_agent_starts(
    task: str, agents: int, trials: int | None, message: str, wandb_devserver: DevServer
) -> None:
    with pytest.raises(flyte.errors.RuntimeUserError) as refused:
        run_locally(search, task, agents, trials, context={**wandb_config(project="e2e"), **GRID})

    assert message in str(refused.value)
    assert wandb_devserver.runs() == []


# Early termination


@wandb_init
def descending() -> None:
    """The first trial improves; the others do not, and wait to be stopped."""
    run = get_wandb_run()
    assert run is not None
    how = run.config["how"]
    for step in range(4):
        run.log({"loss": how * 10 + step})
    while how > 1:
        time.sleep(0.05)


def test_early_terminated_trial_is_not_a_failure(wandb_devserver: DevServer) -> None:
    """The trial is stopped, and the agent continues."""
    config = (
        "method: grid\nmetric: {name: loss, goal: minimize}\nparameters: {how: {values: [1, 5, 6]}}\n"
        "early_terminate: {type: hyperband, min_iter: 2}"
    )
    result: AgentResult = run_locally(agent_of, "descending", str(create_sweep(config).ref), 1)

    assert result.ended == "finished"
    assert [trial.error for trial in result.trials] == ["", "stopped by W&B", "stopped by W&B"]
