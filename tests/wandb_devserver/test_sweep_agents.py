"""Commands of the server to agents, without the SDK."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer, Fault, NotFoundError

from tests.wandb_devserver.support import HEARTBEAT, UPSERT_SWEEP, RawClient

if TYPE_CHECKING:
    from collections.abc import Iterator

GRID = {"method": "grid", "program": "train.py", "parameters": {"a": {"values": [1, 2, 3]}}}
ENDLESS = {"method": "random", "parameters": {"a": {"min": 0.0, "max": 1.0}}}
LOSS = {"name": "loss", "goal": "minimize"}


@pytest.fixture
def quick_raw() -> Iterator[RawClient]:
    """A client of a server that misses heartbeats after 50 ms."""
    with DevServer(heartbeat_timeout=0.05) as server:
        client = RawClient(server)
        with client.http:
            yield client


def test_sweep_goes_from_pending_to_finished(raw: RawClient) -> None:
    """The first agent makes it running; every point is tried once; an agent has one trial at a time, then exits."""
    sweep = raw.sweep(GRID)
    assert sweep.state == "PENDING"
    one, two = sweep.agent(), sweep.agent()
    assert sweep.state == "RUNNING"
    first = one.beat()
    assert first == {"type": "run", "run_id": first["run_id"], "program": "train.py", "args": {"a": {"value": 1}}}
    assert [(trial.state, trial.config) for trial in sweep.trials()] == [("pending", {"a": 1})]
    raw.open_run(first["run_id"], sweep=sweep.name)
    assert one.beat(first["run_id"]) is None
    second = two.start()
    one.end(first["run_id"])
    third = one.start()
    two.end(second)

    assert (two.beat(), sweep.state) == ({"type": "exit"}, "RUNNING")
    one.end(third, exit_code=1)
    assert sweep.state == "FINISHED"
    assert one.beat() == {"type": "exit"}
    assert [(trial.state, trial.config, trial.sweep) for trial in sweep.trials()] == [
        ("finished", {"a": 1}, sweep.name),
        ("finished", {"a": 2}, sweep.name),
        ("failed", {"a": 3}, sweep.name),
    ]
    agents = raw.server.sweep(sweep.path).agents
    assert [(agent.state, agent.trials) for agent in agents] == [
        ("FINISHED", [first["run_id"], third]),
        ("FINISHED", [second]),
    ]


def test_lost_command_is_sent_again(raw: RawClient) -> None:
    """A trial whose program ends before wandb.init() has failed."""
    sweep = raw.sweep(GRID)
    agent = sweep.agent()
    raw.server.faults.add(Fault("graphql", operation="Heartbeat", status=500, applied=True))
    lost = raw.graphql(HEARTBEAT, input={"id": agent.node, "runState": "{}"})
    assert lost.status_code == 500
    (trial,) = sweep.trials()

    assert agent.beat()["run_id"] == trial.id
    following = agent.beat()["run_id"]
    assert following != trial.id
    assert agent.beat(following) is None
    assert agent.beat()["args"] == {"a": {"value": 3}}
    assert [trial.state for trial in sweep.trials()] == ["failed", "failed", "pending"]


def test_paused_sweep_starts_no_trial(raw: RawClient) -> None:
    """Running trials continue."""
    sweep = raw.sweep(ENDLESS)
    agent = sweep.agent()
    run = agent.start()
    sweep.set(state="PAUSED")
    assert agent.beat(run) is None
    agent.end(run)
    assert (agent.beat(), sweep.state) == (None, "PAUSED")
    sweep.set(state="RUNNING")

    assert agent.beat()["type"] == "run"


def test_stopped_sweep_lets_running_trials_end(raw: RawClient) -> None:
    """Then its agents exit; a resumed sweep continues with the next point."""
    sweep = raw.sweep(GRID)
    agent = sweep.agent()
    run = agent.start()
    sweep.set(state="FINISHED")
    assert agent.beat(run) is None
    agent.end(run)
    assert agent.beat() == {"type": "exit"}
    sweep.set(state="RUNNING")

    assert agent.beat()["args"] == {"a": {"value": 2}}


def test_cancelled_sweep_stops_its_trials(raw: RawClient) -> None:
    """The command is repeated until the trial has ended; a run that does not report its end is killed."""
    sweep = raw.sweep(ENDLESS)
    agent, other = sweep.agent(), sweep.agent()
    run, unheard = agent.start(), other.beat()["run_id"]
    sweep.set(state="CANCELED")

    assert agent.beat(run) == agent.beat(run) == {"type": "stop", "run_id": run}
    assert agent.beat() == other.beat() == {"type": "exit"}
    assert {trial.id: trial.state for trial in sweep.trials()} == {run: "killed", unheard: "killed"}
    agent.end(run, exit_code=1)
    assert raw.server.run(f"local/p/{run}").state == "failed"


def test_stop_request_for_a_run_reaches_its_agent(raw: RawClient) -> None:
    """The public API requests it; the agent continues with the next trial."""
    sweep = raw.sweep(GRID)
    agent = sweep.agent()
    run = agent.start()
    node = raw.open_run(run, sweep=sweep.name)["id"]
    raw.data("mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }", id=node)

    assert agent.beat(run) == {"type": "stop", "run_id": run}
    assert agent.beat()["args"] == {"a": {"value": 2}}


def test_run_cap_ends_a_sweep(raw: RawClient) -> None:
    """It counts the trials of all agents."""
    sweep = raw.sweep({**ENDLESS, "run_cap": 2})
    agents = [sweep.agent() for _ in range(3)]
    runs = [agent.start() for agent in agents[:2]]
    assert agents[2].beat() == {"type": "exit"}
    for agent, run in zip(agents, runs, strict=False):
        agent.end(run)

    assert sweep.state == "FINISHED"
    assert len(sweep.trials()) == 2


def test_reached_target_ends_a_sweep(raw: RawClient) -> None:
    sweep = raw.sweep({**ENDLESS, "metric": {**LOSS, "target": 0.1}})
    agent = sweep.agent()
    for loss, command in ((0.2, "run"), (0.05, "exit")):
        run = agent.start()
        content = [json.dumps({"loss": loss})]
        raw.stream({"files": {"wandb-summary.json": {"offset": 0, "content": content}}}, f"local/p/{run}")
        agent.end(run)
        assert (sweep.state == "FINISHED") == (command == "exit")

    assert agent.beat() == {"type": "exit"}


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_hyperband_stops_the_worse_trial(raw: RawClient, goal: str) -> None:
    """It compares after `min_iter` values. The agent's command stops the trial; the file stream does not."""
    sweep = raw.sweep(
        {**ENDLESS, "metric": {"name": "loss", "goal": goal}, "early_terminate": {"type": "hyperband", "min_iter": 2}}
    )
    sign = 1 if goal == "minimize" else -1
    good, bad = sweep.agent(), sweep.agent()
    better, worse = good.start(), bad.start()
    raw.stream_rows(*({"_step": step, "loss": sign * 0.1} for step in range(3)), run=f"local/p/{better}")
    raw.stream_rows({"_step": 0, "loss": sign * 0.9}, {"_step": 1, "other": 1}, run=f"local/p/{worse}")
    assert (good.beat(better), bad.beat(worse)) == (None, None)
    response = raw.stream_rows({"_step": 2, "loss": sign * 0.8}, offset=2, run=f"local/p/{worse}")

    assert good.beat(better) is None
    assert bad.beat(worse) == {"type": "stop", "run_id": worse}
    stopping = 'query Q { project(name: "p") { run(name: "%s") { shouldStop stopped } } }' % worse  # noqa: UP031
    assert raw.data(stopping)["project"]["run"] == {"shouldStop": True, "stopped": False}
    assert "stopped" not in response.json()
    bad.end(worse, exit_code=1)
    assert bad.beat()["type"] == "run"


def test_trial_of_a_lost_agent_crashes(quick_raw: RawClient) -> None:
    """Whether its program has started or not; other agents try the remaining points, and the sweep finishes."""
    sweep = quick_raw.sweep(GRID)
    dead, late = sweep.agent(), sweep.agent()
    pending = dead.beat()["run_id"]
    started = late.start()
    for run in (pending, started):
        quick_raw.server.wait_for_run(f"local/p/{run}", "crashed")
    assert [agent.state for agent in quick_raw.server.sweep(sweep.path).agents] == ["CRASHED", "CRASHED"]
    agent = sweep.agent()
    command = agent.beat()

    assert command["args"] == {"a": {"value": 3}}
    quick_raw.open_run(command["run_id"], sweep=sweep.name)
    agent.end(command["run_id"])
    assert sweep.state == "FINISHED"


def test_slow_agent_continues_its_trial(quick_raw: RawClient) -> None:
    sweep = quick_raw.sweep(GRID)
    agent = sweep.agent()
    run = agent.beat()["run_id"]
    quick_raw.server.wait_for_run(f"local/p/{run}", "crashed")
    assert agent.beat(run) is None
    quick_raw.open_run(run, sweep=sweep.name)
    agent.end(run)

    assert quick_raw.server.run(f"local/p/{run}").state == "finished"
    assert agent.beat()["args"] == {"a": {"value": 2}}


def test_preempted_trial_is_resumed_by_another_agent(raw: RawClient) -> None:
    """The agent gets the command `resume`, and the sweep waits for the trial."""
    sweep = raw.sweep({**GRID, "run_cap": 1})
    agent, heir = sweep.agent(), sweep.agent()
    run = agent.start()
    raw.stream({"preempting": True}, f"local/p/{run}")
    agent.end(run, exit_code=1)
    assert (raw.server.run(f"local/p/{run}").state, sweep.state) == ("preempted", "RUNNING")

    assert heir.beat() == {"type": "resume", "run_id": run, "program": "train.py", "args": {"a": {"value": 1}}}
    assert heir.beat(run) is None
    raw.open_run(run, sweep=sweep.name)
    heir.end(run)
    assert sweep.state == "FINISHED"


def test_point_of_a_deleted_run_is_tried_again(raw: RawClient) -> None:
    """W&B documents this for failed runs of a grid."""
    sweep = raw.sweep({"method": "grid", "parameters": {"a": {"values": [1]}}})
    agent = sweep.agent()
    run = agent.start()
    node = raw.open_run(run, sweep=sweep.name)["id"]
    agent.end(run, exit_code=1)
    assert agent.beat() == {"type": "exit"}
    raw.data("mutation D($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }", id=node)
    sweep.set(state="RUNNING")

    assert agent.beat()["args"] == {"a": {"value": 1}}


def test_prior_runs_belong_to_the_sweep(raw: RawClient) -> None:
    """A grid does not try their points again."""
    for name, value in (("r1", 1), ("r2", 2), ("other", 3)):
        raw.open_run(name, config=json.dumps({"a": {"value": value}}))
    sweep = raw.sweep(GRID, priorRunsFilters=json.dumps({"$or": [{"name": "r1"}, {"name": "r2"}]}))

    assert [trial.id for trial in sweep.trials()] == ["r1", "r2"]
    assert sweep.agent().beat()["args"] == {"a": {"value": 3}}


def test_bayesian_sweep_proposes_trials_up_to_its_cap(raw: RawClient) -> None:
    """The search runs outside of the transaction, and its result becomes a trial."""
    pytest.importorskip("sweeps", reason="W&B's package 'sweeps' is not installed: it needs NumPy 1")
    sweep = raw.sweep({**ENDLESS, "method": "bayes", "metric": LOSS, "run_cap": 2})
    agent = sweep.agent()
    run = agent.start()
    raw.stream_rows({"_step": 0, "loss": 0.5}, run=f"local/p/{run}")
    agent.end(run)
    second = agent.start()

    assert [set(trial.config) for trial in sweep.trials()] == [{"a"}, {"a"}]
    agent.end(second)
    assert agent.beat() == {"type": "exit"}


def test_agents_of_a_deleted_sweep_get_404(raw: RawClient) -> None:
    """The SDK's agents exit on this status only. Started runs stay; pending ones are killed."""
    sweep = raw.sweep(GRID)
    agent = sweep.agent()
    run, pending = agent.start(), sweep.agent().beat()["run_id"]
    raw.server.delete_sweep(sweep.path)
    response = raw.graphql(HEARTBEAT, input={"id": agent.node, "runState": "{}"})

    assert response.status_code == 404
    assert "sweep was deleted" in response.json()["errors"][0]["message"]
    assert [raw.server.run(f"local/p/{name}").state for name in (run, pending)] == ["running", "killed"]
    with pytest.raises(NotFoundError, match="it has none"):
        raw.server.sweep(sweep.path)


def test_config_can_change_until_the_first_trial_starts(raw: RawClient) -> None:
    """Trials that were handed to agents stay as they are."""
    sweep = raw.sweep(GRID)
    changed = json.dumps({**GRID, "parameters": {"a": {"value": 7}}})
    sweep.set(config=changed, displayName="new name", description="text")
    record = raw.server.sweep(sweep.path)
    assert (record.name, record.config["parameters"]) == ("new name", {"a": {"value": 7}})
    assert sweep.agent().beat()["args"] == {"a": {"value": 7}}
    response = raw.graphql(UPSERT_SWEEP, input={"id": sweep.node, "config": json.dumps(GRID)}).json()

    assert "has trials already" in response["errors"][0]["message"]
    sweep.set(config=changed, state="PAUSED")
    assert sweep.state == "PAUSED"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "needs the configuration of a sweep"),
        ({"config": "method: no"}, "Invalid sweep config: method"),
        ({"config": json.dumps(GRID), "projectName": "a/b"}, "'a/b'"),
        ({"config": json.dumps(GRID), "state": "ASLEEP"}, "'ASLEEP'"),
        ({"id": "nonsense"}, "'nonsense' is not the id of a sweep"),
        ({"id": "U3dlZXA6OTk="}, "does not exist"),
    ],
)
def test_invalid_sweep_is_refused(raw: RawClient, given: dict[str, str], named: str) -> None:
    """No sweep is created."""
    response = raw.graphql(UPSERT_SWEEP, input=given).json()

    assert named in response["errors"][0]["message"]
    assert raw.server.sweeps() == []


def test_config_text_is_stored_with_its_comments(raw: RawClient) -> None:
    """The response has the warnings of the configuration."""
    text = "# mine\nmethod: random\nparameters: {a: {distribution: log_uniform, min: 0, max: 1}}\n"
    response = raw.data(UPSERT_SWEEP, input={"config": text, "projectName": "p"})["upsertSweep"]
    found = raw.data('{ project(name: "p") { sweeps { edges { node { config method } } } } }')

    assert [warning.partition(":")[0] for warning in response["configValidationWarnings"]] == ["parameters.a"]
    (edge,) = found["project"]["sweeps"]["edges"]
    assert edge["node"] == {"config": text, "method": "random"}
