"""Sweep agents in remote mode: each agent is a pod, each trial a process in it."""

from __future__ import annotations

import signal

from flyteplugins.wandb import wandb_config, wandb_sweep_config
from wandb_devserver import DevServer

from tests.support.control_plane.plane import ControlPlane

SWEEP = wandb_sweep_config(
    method="grid", metric={"name": "loss", "goal": "minimize"}, parameters={"lr": {"values": [1.5, 2.5]}}
)
CONTEXT = {**wandb_config(project="remote", entity="team", tags=["a"]), **SWEEP}
PROJECT = "team/remote"


def test_evicted_agent_preempts_its_trial(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """W&B gives the trial to the next attempt, which resumes it and runs the rest."""
    plane.pods.is_pid1, plane.pods.grace = True, 30.0
    flyte_run = plane.start("agents:controller", context=CONTEXT)
    agent = plane.action(flyte_run, "waiting_at_first")
    plane.wait_for_output(agent, "runs")
    (first,) = wandb_devserver.runs(PROJECT)
    plane.kill(agent, signal.SIGTERM)
    wandb_devserver.wait_for_run(f"{PROJECT}/{first.id}", "preempted")
    plane.wait(flyte_run)

    assert [attempt.exit_code for attempt in agent.attempts] == [143, 0]
    assert flyte_run.result == ({"state": "finished", "errors": "{}", "best": "{'loss': 1.5}"},)
    trials = {run.config["lr"]: (run.state, run.tags) for run in wandb_devserver.runs(PROJECT)}
    assert trials == {1.5: ("finished", ["a"]), 2.5: ("finished", ["a"])}


def test_killed_agent_is_retried(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The next attempt runs the remaining trials; the killed trial gets its final state from W&B."""
    flyte_run = plane.start("agents:controller", context=CONTEXT)
    agent = plane.action(flyte_run, "waiting_at_first")
    plane.wait_for_output(agent, "runs")
    plane.kill(agent)
    plane.wait(flyte_run)

    assert [(attempt.exit_code, attempt.signal) for attempt in agent.attempts] == [(None, signal.SIGKILL), (0, None)]
    second = next(run for run in wandb_devserver.runs(PROJECT) if run.config["lr"] == 2.5)
    assert (second.state, second.tags) == ("finished", ["a"])


def test_many_agents_queue_under_their_own_names(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """In one group."""
    flyte_run = plane.run("agents:queueing", 21, 4, context=CONTEXT)

    agents = plane.actions(flyte_run, "counting")
    assert {agent.spec.short_name for agent in agents if agent.spec} == {f"agent-{number}" for number in range(1, 22)}
    assert {agent.group for agent in agents} == {"fleet"}
    starts = [(agent.last.started, 1) for agent in agents]
    ends = [(agent.last.ended, -1) for agent in agents]
    at_once = peak = 0
    for _, change in sorted(starts + ends):
        at_once += change
        peak = max(peak, at_once)
    assert peak <= 4
