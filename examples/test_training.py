"""Tests a task that logs to W&B, without an account and without mocks: `pytest examples/test_training.py`.

The package wandb-devserver brings the fixture `wandb_devserver`: a W&B-compatible server on loopback for each test, and
an environment that points at it. Nothing reaches W&B, and no key is needed.
"""

import flyte
import pytest
from flyteplugins.wandb import wandb_config
from wandb_devserver import DevServer, Fault

from examples.train import train  # the task under test: yours, in your project

CONTEXT = wandb_config(project="digits", id="first")


@pytest.fixture(autouse=True)
def initialized() -> None:
    """Flyte without a cluster."""
    flyte.init()


def test_training_logs_a_falling_loss(wandb_devserver: DevServer) -> None:
    """The run is finished, and has all rows, the inputs and the link to its Flyte run."""
    flyte.with_runcontext(mode="local", custom_context=CONTEXT).run(train, epochs=3)

    run = wandb_devserver.run("local/digits/first")
    losses = [row["loss"] for row in run.history if isinstance(row["loss"], float)]
    assert run.state == "finished"
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert run.config["inputs"] == {"learning_rate": 0.05, "epochs": 3}


def test_failed_training_leaves_a_failed_run(wandb_devserver: DevServer) -> None:
    """Flyte and W&B agree on the end."""
    with pytest.raises(flyte.errors.RuntimeUserError):
        flyte.with_runcontext(mode="local", custom_context=CONTEXT).run(train, learning_rate=-1.0)

    assert wandb_devserver.run("local/digits/first").state == "failed"


def test_training_survives_an_interruption_of_the_server(wandb_devserver: DevServer) -> None:
    """The SDK sends again what the server has refused."""
    wandb_devserver.faults.add(Fault("file_stream", status=503))
    flyte.with_runcontext(mode="local", custom_context=CONTEXT).run(train, epochs=3)

    assert len(wandb_devserver.run("local/digits/first").history) == 3
