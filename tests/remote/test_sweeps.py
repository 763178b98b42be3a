"""Sweeps in remote mode: created once for each action, by whichever attempt; agents are pods."""

from __future__ import annotations

import signal

import pytest
from flyteplugins.wandb import wandb_config, wandb_sweep_config
from wandb_devserver import DevServer

from tests.support.control_plane.actions import Action, Phase
from tests.support.control_plane.plane import ControlPlane

SWEEP = wandb_sweep_config(method="grid", parameters={"lr": {"values": [1.5, 2.5]}})
CONTEXT = {**wandb_config(project="remote", entity="team"), **SWEEP}
PROJECT = "team/remote"


def sweep_link_of(action: Action) -> str:
    """Return the URL of the sweep link of an action."""
    (link,) = (link for link in action.links if link.name == "Weights & Biases Sweep")
    assert link.icon_uri
    return link.uri


def test_retry_of_a_controller_finds_its_sweep(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Agents run in other pods, in an entity that is not the default."""
    flyte_run = plane.run("sweeping:controller", context=CONTEXT)

    (sweep,) = wandb_devserver.sweeps(PROJECT)
    root, agent, agent_sync = (
        flyte_run.root,
        plane.action(flyte_run, "agent"),
        plane.action(flyte_run, "agent_sync"),
    )
    assert [attempt.exit_code for attempt in root.attempts] == [9, 0]
    assert flyte_run.result == (sweep.id,)
    assert (sweep.name, sweep.state) == (f"{flyte_run.name}-a0", "FINISHED")
    assert sorted(run.state for run in sweep.trials) == ["failed", "finished"]
    assert {run.config["lr"] for run in sweep.trials} == {1.5, 2.5}
    assert [row["sweep"] for run in sweep.trials for row in run.history] == [sweep.id] * 2
    assert sweep_link_of(root) == f"{wandb_devserver.url}/{PROJECT}/sweeps"
    assert {sweep_link_of(agent), sweep_link_of(agent_sync)} == {sweep.url}
    own = wandb_devserver.run(f"team/runs/{flyte_run.name}-{agent_sync.name}")
    assert (own.state, own.sweep, [row["after"] for row in own.history]) == ("finished", None, [2])


def test_evicted_controller_stops_and_resumes_its_sweep(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Agents do not work while no controller runs."""
    flyte_run = plane.start("sweeping:evicted", context=CONTEXT)
    plane.wait_for_output(flyte_run.root, "created")
    (sweep,) = wandb_devserver.sweeps(PROJECT)
    plane.kill(flyte_run.root, signal.SIGTERM)
    wandb_devserver.wait_for_sweep(f"{PROJECT}/{sweep.id}", "FINISHED")
    plane.wait(flyte_run)

    assert [attempt.exit_code for attempt in flyte_run.root.attempts] == [143, 0]
    assert flyte_run.result == (sweep.id,)
    (found,) = wandb_devserver.sweeps(PROJECT)
    assert found.state == "RUNNING"


@pytest.mark.parametrize(
    "task", ["working_itself", "working_itself_sync", "working_undecorated", "working_undecorated_sync"]
)
def test_abort_of_a_controller_that_is_an_agent(task: str, plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The run of the trial is closed and the sweep ended as configured, also from within the SDK's agent."""
    plane.pods.grace = 30.0
    flyte_run = plane.start(f"sweeping:{task}", context={**CONTEXT, **wandb_sweep_config(on_failure="cancel")})
    plane.wait_for_output(flyte_run.root, "in the trial")
    plane.abort(flyte_run)
    plane.wait(flyte_run, expect=Phase.ABORTED)

    (sweep,) = wandb_devserver.sweeps(PROJECT)
    assert (flyte_run.root.last.exit_code, flyte_run.root.last.signal) == (143, None)
    assert sweep.state == "CANCELED"
    assert [(run.state, run.exit_code) for run in sweep.trials] == [("preempted", 143)]


def test_controller_that_exits_ends_its_sweep(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """It exits by SystemExit, in a pickled task of a notebook."""
    plane.run("notebook:exiting", context=CONTEXT, options={"interactive_mode": True}, expect=Phase.FAILED)

    (sweep,) = wandb_devserver.sweeps(PROJECT)
    assert sweep.state == "FINISHED"
