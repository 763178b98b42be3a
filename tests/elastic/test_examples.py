"""The examples that need torch, run as a user runs them on one machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from wandb_devserver import DevServer

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
