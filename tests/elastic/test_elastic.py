"""Torch elastic as Flyte's plugin starts it: two processes on the CPU, in a pod of the control plane."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from flyteplugins.wandb import wandb_config
from wandb_devserver import DevServer

from tests.support.control_plane.actions import Phase
from tests.support.control_plane.plane import ControlPlane, Run
from tests.support.object_store import ObjectStore

PROJECT = "local/elastic"
CONTEXT = wandb_config(project="elastic", entity="local")
STEPS = 3
TIMEOUT = 200.0
LOSS = 2.0 * (STEPS - 1) + 1


@pytest.fixture
def plane(tmp_path: Path, object_store: ObjectStore, wandb_devserver: DevServer) -> Iterator[ControlPlane]:
    """The control plane, with W&B in reach of drivers and pods."""
    # The tasks alone are in the code bundle: the packages are installed, as they are in an image.
    root, env = Path(__file__).parent / "project", wandb_devserver.env
    with ControlPlane(tmp_path / "flyte", store=object_store, root=root, env=env, driver_env=env) as plane:
        # Otherwise ranks that torch 2.13 starts again may read the endpoints of those that have ended.
        plane.pods.env["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        yield plane


def links(run: Run) -> list[str]:
    return [link.uri for link in run.root.links if link.name.startswith("Weights & Biases")]


def test_auto_mode_logs_on_rank_0(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The other ranks have no run. The link leads to the run of rank 0."""
    flyte_run = plane.run("training:train", context=CONTEXT, timeout=TIMEOUT)

    (run,) = wandb_devserver.runs(PROJECT)
    assert flyte_run.result == (LOSS,)
    assert run.id == f"{flyte_run.name}-a0"
    assert (run.state, run.exit_code, run.group) == ("finished", 0, flyte_run.name)
    assert [row["rank"] for row in run.history] == [0] * STEPS
    assert "rank 1 of launch 0: None" in flyte_run.root.last.stdout
    assert links(flyte_run) == [run.url]


def test_shared_mode_logs_all_ranks_to_one_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    flyte_run = plane.run("training:train", context={**CONTEXT, **wandb_config(run_mode="shared")}, timeout=TIMEOUT)

    (run,) = wandb_devserver.runs(PROJECT)
    assert (run.id, run.state, run.exit_code) == (f"{flyte_run.name}-a0", "finished", 0)
    assert Counter(row["rank"] for row in run.history) == {0: STEPS, 1: STEPS}
    assert links(flyte_run) == [run.url]


def test_new_mode_opens_one_run_per_rank(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The runs are in one group, and the link leads to the group."""
    flyte_run = plane.run("training:train", context={**CONTEXT, **wandb_config(run_mode="new")}, timeout=TIMEOUT)

    runs = {run.id: run for run in wandb_devserver.runs(PROJECT)}
    base = f"{flyte_run.name}-a0"
    assert set(runs) == {f"{base}-rank-0", f"{base}-rank-1"}
    assert {(run.state, run.group) for run in runs.values()} == {("finished", base)}
    for rank in (0, 1):
        assert [row["rank"] for row in runs[f"{base}-rank-{rank}"].history] == [rank] * STEPS
    assert links(flyte_run) == [f"{wandb_devserver.url}/{PROJECT}/groups/{base}"]


@pytest.mark.parametrize("run_mode", ["auto", "shared"])
def test_restart_in_place_continues_the_run(run_mode: str, plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Flyte counts one attempt."""
    context = {**CONTEXT, "wandb_run_mode": run_mode}
    flyte_run = plane.run("training:train", failing=1, context=context, timeout=TIMEOUT)

    (run,) = wandb_devserver.runs(PROJECT)
    rows = Counter((row["launch"], row["rank"]) for row in run.history)
    ranks = (0, 1) if run_mode == "shared" else (0,)
    assert flyte_run.result == (LOSS,)
    assert (run.state, run.exit_code) == ("finished", 0)
    assert rows == {(launch, rank): STEPS for launch in (0, 1) for rank in ranks}
    flyte_config = run.config["flyte"]
    assert isinstance(flyte_config, dict)
    assert flyte_config["attempt"] == 0


def test_failed_rank_fails_the_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The error names the rank when no restart is left."""
    flyte_run = plane.run("training:train", failing=2, context=CONTEXT, expect=Phase.FAILED, timeout=TIMEOUT)

    (run,) = wandb_devserver.runs(PROJECT)
    assert run.state not in ("running", "finished")
    assert len(run.history) == 2 * STEPS
    assert flyte_run.root.error is not None
    assert "rank 1" in flyte_run.root.error.message


def test_abort_ends_the_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The launcher passes the signal to the ranks, which end their run."""
    flyte_run = plane.start("training:endless", context=CONTEXT)
    plane.wait_for_output(plane.action(flyte_run), "training")
    plane.abort(flyte_run)
    plane.wait(flyte_run, expect=Phase.ABORTED, timeout=TIMEOUT)

    (run,) = wandb_devserver.runs(PROJECT)
    assert run.state not in ("running", "finished")
    assert [row["loss"] for row in run.history] == [1]
