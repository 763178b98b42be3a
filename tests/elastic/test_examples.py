"""The examples that need torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flyteplugins.wandb import wandb_config
from wandb_devserver import DevServer

from tests.support.control_plane.plane import ControlPlane
from tests.support.object_store import ObjectStore

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("name", "key"), [("distributed", "loss"), ("lightning_digits", "train/loss")])
def test_example_logs_a_falling_loss(name: str, key: str, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """There is one finished run, whose rows are the training's."""
    environment = {**os.environ, "HOME": str(tmp_path), "WANDB_DIR": str(tmp_path)}
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    (run,) = wandb_devserver.runs("local/flyte-examples")
    losses = [value for value in (row.get(key) for row in run.history) if isinstance(value, float)]
    assert run.state == "finished"
    assert len(losses) >= 5
    assert losses[-1] < losses[0]


def test_distributed_example_trains_on_two_ranks(
    tmp_path: Path, object_store: ObjectStore, wandb_devserver: DevServer
) -> None:
    """The run has one row per epoch, from rank 0."""
    root = tmp_path / "project"
    shutil.copytree(EXAMPLES, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "dist").mkdir()
    env, secrets = {"WANDB_BASE_URL": wandb_devserver.url}, {"wandb-api-key": wandb_devserver.api_key}
    with ControlPlane(
        tmp_path / "flyte", store=object_store, root=root, env=env, driver_env=env, secrets=secrets
    ) as plane:
        plane.run("distributed:train", context=wandb_config(project="distributed", entity="local"))

    (run,) = wandb_devserver.runs("local/distributed")
    assert run.state == "finished"
    assert [row["epoch"] for row in run.history] == list(range(5))
