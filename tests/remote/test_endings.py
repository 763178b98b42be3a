"""Runs that the body ends before its task fails, and retries that change a run."""

from __future__ import annotations

import wandb
from flyteplugins.wandb import wandb_config
from wandb_devserver import DevServer

from tests.remote.support import CONTEXT, PROJECT, logged, run_of
from tests.support.control_plane.actions import Phase
from tests.support.control_plane.plane import ControlPlane


def test_run_that_the_body_ended_has_the_state_of_the_task(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """A child joins the run afterwards, and its own use of the run may end too."""
    plain = plane.start("endings:ending_plain", context=CONTEXT)
    shared = plane.start("endings:ending_shared", context=CONTEXT)
    plane.wait(plain, expect=Phase.FAILED)
    plane.wait(shared, expect=Phase.FAILED)

    rows = {plain: ["before", "after finish"], shared: ["before", "child", "child after finish", "after"]}
    for flyte_run, expected in rows.items():
        run = run_of(flyte_run.root, wandb_devserver)
        assert (run.state, run.exit_code, sorted(map(str, logged(run, "x")))) == ("failed", 1, sorted(expected))
        assert flyte_run.root.error is not None
        assert flyte_run.root.error.message.endswith("the body's own")
        assert flyte_run.root.last.stderr.count("before its task ended") == 1


def test_retry_changes_config_and_neither_rewinds_nor_forks_again(
    plane: ControlPlane, wandb_devserver: DevServer
) -> None:
    """The second attempt is another process, which continues the run of the first."""
    with wandb.init(entity="local", project="remote", id="base") as base:
        for _ in range(5):
            base.log({"x": "base"})
    forking = plane.run("endings:forking", context=CONTEXT)
    rewinding = plane.run("endings:changing", context={**CONTEXT, **wandb_config(resume_from="base?_step=2")})

    assert [each.result == ("base",) for each in (forking, rewinding)] == [False, True]
    for flyte_run in (forking, rewinding):
        (run_id,) = flyte_run.result
        run = wandb_devserver.run(f"{PROJECT}/{run_id}")
        assert (run.state, logged(run, "x")) == ("finished", ["base"] * 3 + ["0"] * 2 + ["1"] * 2)
        assert (run.config["seed"], run.config["nested"], run.config["layers"]) == (1, {"a": {"b": 1}}, {"1": 1})
