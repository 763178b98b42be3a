"""W&B runs of tasks that the platform stops: by abort, by timeout, because of the parent."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from wandb_devserver import DevServer, Fault

from tests.remote.support import CONTEXT, logged, run_of
from tests.support.control_plane.actions import Action, Phase
from tests.support.control_plane.plane import ControlPlane

GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL, as in Kubernetes."""


def assert_preempted(action: Action, server: DevServer) -> None:
    """Assert that the pod exited within its grace period, all rows arrived and the run is preempted."""
    run = run_of(action, server)
    assert (action.last.exit_code, action.last.signal) == (143, None)
    assert logged(run, "row") == list(range(20))
    # A run is preempted if it was announced to be and then ended with another exit code than 0.
    assert (run.state, run.exit_code) == ("preempted", 143)


@pytest.mark.parametrize(
    ("task", "is_pid1"),
    [
        ("stopping:waiting", False),
        ("stopping:computing", True),
        ("stopping:delegating", True),
        ("notebook:waiting", True),
        ("notebook:computing", False),
    ],
)
def test_abort_runs_finally_and_delivers_rows(
    task: str, is_pid1: bool, plane: ControlPlane, wandb_devserver: DevServer
) -> None:
    """In bodies that execute Python code."""
    plane.pods.is_pid1, plane.pods.grace = is_pid1, GRACE
    flyte_run = plane.start(task, context=CONTEXT, options={"interactive_mode": task.startswith("notebook:")})
    plane.wait_for_output(flyte_run.root, "logged")
    plane.abort(flyte_run)
    plane.wait(flyte_run, expect=Phase.ABORTED)

    assert_preempted(flyte_run.root, wandb_devserver)
    assert logged(run_of(flyte_run.root, wandb_devserver), "last") == [1]
    assert "cleaned up" in flyte_run.root.last.stdout


def test_abort_of_a_blocked_body_closes_the_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    plane.pods.is_pid1, plane.pods.grace = True, GRACE
    flyte_run = plane.start("stopping:stuck", context=CONTEXT)
    plane.wait_for_output(flyte_run.root, "logged")
    plane.abort(flyte_run)
    plane.wait(flyte_run, expect=Phase.ABORTED)

    assert_preempted(flyte_run.root, wandb_devserver)


def test_task_timeout_preempts_the_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """A timeout acts like an abort."""
    flyte_run = plane.start("stopping:too_slow", context=CONTEXT)
    plane.wait_for_output(flyte_run.root, "logged")
    plane.expire(flyte_run.root)
    plane.wait(flyte_run, expect=Phase.TIMED_OUT)

    assert_preempted(flyte_run.root, wandb_devserver)
    assert logged(run_of(flyte_run.root, wandb_devserver), "last") == [1]


def test_evicted_task_continues_its_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The next attempt finishes it."""
    flyte_run = plane.start("stopping:evicted", context=CONTEXT)
    plane.wait_for_output(flyte_run.root, "logged")
    plane.kill(flyte_run.root, signal.SIGTERM)
    plane.wait(flyte_run)

    (run,) = wandb_devserver.runs()
    assert flyte_run.result == (1,)
    assert flyte_run.root.attempts[0].exit_code == 143
    assert logged(run, "row") == list(range(21))
    assert (run.state, run.exit_code) == ("finished", 0)


def test_cancelled_child_ends_its_run(plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """While the parent continues."""
    flyte_run = plane.run("stopping:cancelling", str(tmp_path / "mark"), context=CONTEXT)

    assert_preempted(plane.action(flyte_run, "marking"), wandb_devserver)


def test_sigterm_handler_of_the_user_wins(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    flyte_run = plane.start("stopping:handling", context=CONTEXT)
    plane.wait_for_output(flyte_run.root, "logged")
    plane.abort(flyte_run)
    plane.wait(flyte_run, expect=Phase.ABORTED)

    run = run_of(flyte_run.root, wandb_devserver)
    assert "the user's handler" in flyte_run.root.last.stdout
    assert flyte_run.root.last.exit_code == 9
    assert run.exit_code
    assert (run.state, logged(run, "last")) == ("failed", [1])


def test_abort_while_the_run_opens(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The body never runs, and no run is left running."""
    plane.pods.is_pid1, plane.pods.grace = True, GRACE
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", delay=2))
    flyte_run = plane.start("stopping:computing", context=CONTEXT)
    wandb_devserver.faults.wait()
    plane.abort(flyte_run)
    plane.wait(flyte_run, expect=Phase.ABORTED)

    assert flyte_run.root.last.exit_code == 143
    assert "logged" not in flyte_run.root.last.stdout
    assert [run.state for run in wandb_devserver.runs()] in ([], ["failed"], ["preempted"])
