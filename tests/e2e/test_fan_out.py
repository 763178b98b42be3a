"""Results and logs of `fan_out_sweep_agents`."""

import flyte
import pytest
import wandb
from flyteplugins.wandb import (
    SweepResult,
    fan_out_sweep_agents,
    get_wandb_run,
    get_wandb_sweep_id,
    sweep_agent,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb_devserver import DevServer, Fault
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import summary
from wandb_sweeps._server.lookup import SweepServer

from tests.e2e.support import create_grid, run_locally, set_sweep_state

env = flyte.TaskEnvironment(name="e2e_fan_out")

pytestmark = [
    pytest.mark.usefixtures("objectives_by_value"),
    # Raised by Flyte's types of dataclasses.
    pytest.mark.filterwarnings("ignore:Support for class-based `config`"),
]

PROJECT = wandb_config(project="e2e")


@sweep_agent(env, max_failures=1)
@wandb_init
def failing() -> None:
    msg = "too steep"
    raise ValueError(msg)


@sweep_agent(env, idle_timeout=0.1)
@wandb_init
def logging_lr() -> None:
    wandb.log({"gain": wandb.config["lr"]})


@sweep_agent(env)
@wandb_init
def summarizing() -> None:
    kind = wandb.config["kind"]
    run = get_wandb_run()
    assert run is not None
    run.define_metric("gain", summary=None if kind == "plain" else kind)
    for value in (2.0, 1.0, 4.0, 3.0):
        run.log({"gain": value})


_agents: list[tuple[int, str, str | None]] = []


@env.task
async def doing_nothing(agent_id: int, sweep_id: str, count: int = 1) -> None:
    _agents.append((agent_id, sweep_id, get_wandb_sweep_id()))


@wandb_sweep
@env.task
async def search(task: str, agents: int = 1) -> SweepResult:
    return await fan_out_sweep_agents(globals()[task], num_agents=agents)


@wandb_sweep
@env.task
async def search_twice(task: str, leaves_a_trial_running: bool = False) -> SweepResult:
    result = await fan_out_sweep_agents(globals()[task], num_agents=1, trials_per_agent=2)
    if leaves_a_trial_running:
        location = SweepLocation.current()
        assert location is not None
        server = SweepServer.of(location)
        server.heartbeat(server.create_agent(location, "elsewhere"), None)
    return result


@env.task
async def search_of(task: str, sweep: str, agents: int = 1) -> SweepResult:
    return await fan_out_sweep_agents(globals()[task], num_agents=agents, sweep_id=sweep)


def test_result_reports_agents_that_ended_by_failures(wandb_devserver: DevServer) -> None:
    """Their tasks succeed; the result contains the reason and the error of each trial."""
    sweep = wandb_sweep_config(method="grid", parameters={"lr": {"values": [1, 2, 3]}})
    result: SweepResult = run_locally(search, "failing", context={**PROJECT, **sweep})

    assert result.errors == {"agent-1": "its last trials failed, the last one: ValueError: too steep"}
    assert [(trial.agent, trial.error) for trial in result.trials] == [("agent-1", "ValueError: too steep")]
    assert (result.counts, result.best) == ({"failed": 1}, None)


def test_trials_are_ranked_by_a_maximized_metric(wandb_devserver: DevServer) -> None:
    metric = {"name": "gain", "goal": "maximize"}
    sweep = wandb_sweep_config(method="grid", metric=metric, parameters={"lr": {"values": [1, 3, 2]}})
    result: SweepResult = run_locally(search, "logging_lr", context={**PROJECT, **sweep})

    assert (result.metric, result.goal) == ("gain", "maximize")
    assert [result.value_of(trial) for trial in result.ranked] == [3, 2, 1]


@pytest.mark.parametrize(("goal", "values"), [("minimize", [1, 3, 2.5, 2, 4, 3]), ("maximize", [1, 3, 2.5, 2, 4, 3])])
def test_trials_are_ranked_by_any_summary_of_the_metric(
    goal: str, values: list[float], wandb_devserver: DevServer
) -> None:
    """A trial that stores one kind of summary is ranked by that one."""
    metric = {"name": "gain", "goal": goal}
    kinds = ["min", "last", "mean", "first", "max", "plain"]
    sweep = wandb_sweep_config(method="grid", metric=metric, parameters={"kind": {"values": kinds}})
    result: SweepResult = run_locally(search, "summarizing", context={**PROJECT, **sweep})

    ranked = {trial.config["kind"]: result.value_of(trial) for trial in result.trials}
    assert ranked == dict(zip(kinds, values, strict=True))
    assert result.best is not None
    assert result.best.config["kind"] == ("min" if goal == "minimize" else "max")


@pytest.mark.parametrize(("leaves_a_trial_running", "state"), [(False, "FINISHED"), (True, "RUNNING")])
def test_sweep_is_finished_when_task_and_trials_have_ended(
    leaves_a_trial_running: bool, state: str, wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A metric that no trial logged is a warning in the result and in the log."""
    parameters = {"lr": {"values": [1, 2, 3]}}
    sweep = wandb_sweep_config(method="random", metric={"name": "gian"}, parameters=parameters)
    result: SweepResult = run_locally(search_twice, "logging_lr", leaves_a_trial_running, context={**PROJECT, **sweep})

    (stored,) = wandb_devserver.sweeps()
    assert stored.state == state
    assert result.warnings == [f"No trial of sweep {stored.id} logged its metric 'gian'; did you mean 'gain'?"]
    assert result.warnings[0] in caplog.text


def test_fan_out_over_a_paused_sweep_ends_after_idle_timeout(wandb_devserver: DevServer) -> None:
    """The agents have the `idle_timeout` of the decorator, and the result reports the sweep as paused."""
    sweep = create_grid(1)
    set_sweep_state(sweep, "PAUSED")
    result: SweepResult = run_locally(search_of, "logging_lr", sweep)

    assert (result.state, result.trials, result.errors) == ("paused", [], {})


def test_agents_see_their_sweep(wandb_devserver: DevServer) -> None:
    """It is the current sweep in each agent, although the task that fans out has none."""
    _agents.clear()
    sweep = create_grid(1)
    result: SweepResult = run_locally(search_of, "doing_nothing", sweep, 3)

    name = sweep.rpartition("/")[2]
    assert sorted(_agents) == [(number, name, name) for number in (1, 2, 3)]
    assert (result.sweep_id, result.state) == (sweep, "pending")


@pytest.mark.parametrize(("count", "patience", "state"), [(1, 60.0, "pending"), (None, 0.0, "unknown")])
def test_outage_after_the_agents_is_retried(
    count: int | None, patience: float, state: str, wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is done, and results must not be lost."""
    monkeypatch.setattr(summary, "_READ_TIMEOUT", patience)
    monkeypatch.setattr(summary, "_READ_INTERVAL", 0.1)
    sweep = create_grid(1)
    wandb_devserver.faults.add(Fault("graphql", operation="Runs", status=403, count=count))
    result: SweepResult = run_locally(search_of, "doing_nothing", sweep)

    assert (result.state, result.errors) == (state, {})
