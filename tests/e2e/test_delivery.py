"""Data that the server does not accept: it is not lost, and the task keeps its result or error."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flyte
import flyte.errors
import pytest
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from wandb_devserver import DevServer, Fault

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_delivery")

CONTEXT = wandb_config(project="e2e", settings={"x_file_stream_transmit_interval": 1})
ROWS = list(range(20))


def log_rows() -> str:
    run = get_wandb_run()
    assert run is not None
    for x in ROWS:
        run.log({"x": x})
    return run.id


@wandb_init
@env.task
async def logging_rows() -> str:
    return log_rows()


@wandb_init(id="failing")
@env.task
async def failing() -> str:
    log_rows()
    msg = "the body's own reason"
    raise ValueError(msg)


@wandb_init
@env.task
async def finishing() -> str:
    """Finishes its run in the body."""
    run_id = log_rows()
    run = get_wandb_run()
    assert run is not None
    run.finish()
    return run_id


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture the library's warnings."""
    caplog.set_level(logging.WARNING, logger="wandb_runtime")
    return caplog


def warnings(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in log.records if record.name == "wandb_runtime"]


def execute_command_in(warning: str) -> None:
    """Run the command from a warning in a shell that has only the API key."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    known = {name: value for name, value in os.environ.items() if name != "WANDB_BASE_URL"}
    subprocess.run(["sh", "-c", warning.split("`")[1]], env={**known, "PATH": path}, check=True, timeout=60)


def test_data_refused_in_mid_run(
    wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """The SDK says nothing; one line does, and its command delivers every row to the run's own host."""
    wandb_devserver.faults.add(Fault("file_stream", status=403))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    run_id = run_locally(logging_rows, context={**CONTEXT, **wandb_config(host=wandb_devserver.url)})

    (said,) = warnings(log)
    assert f"local/e2e/{run_id} was not uploaded completely (it is running on the server)" in said
    execute_command_in(said)
    run = wandb_devserver.run(f"local/e2e/{run_id}")
    assert (run.state, [row["x"] for row in run.history]) == ("finished", ROWS)


def test_data_of_a_shared_run(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """Delivered as itself, a run would replace what its other writers have logged."""
    wandb_devserver.faults.add(Fault("file_stream", status=403))
    shared = wandb_config(mode="shared", settings={"x_label": "the writer"})
    run_id = run_locally(logging_rows, context={**CONTEXT, **shared})

    (said,) = warnings(log)
    assert "as a separate run" in said
    execute_command_in(said)
    rows = {run.id: [row["x"] for row in run.history] for run in wandb_devserver.runs()}
    assert rows == {run_id: [], f"{run_id}-the-writer": ROWS}


def test_server_gone_in_mid_run(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """Closing is bounded, the body's own exception is what the user sees, and nothing is lost."""
    wandb_devserver.faults.add(Fault("file_stream", drop=True, count=None))
    with pytest.raises(flyte.errors.RuntimeUserError, match="the body's own reason"):
        run_locally(failing, context={**CONTEXT, **wandb_config(finish_timeout=1)})

    (said,) = warnings(log)
    assert "local/e2e/failing was not uploaded completely (TimeoutError" in said
    wandb_devserver.faults.clear()
    execute_command_in(said)
    run = wandb_devserver.run("local/e2e/failing")
    assert (run.state, [row["x"] for row in run.history]) == ("failed", ROWS)


def test_server_that_does_not_say(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """Where it cannot be asked, that is said; the data may be there all the same."""
    asked = wandb_devserver.faults.add(Fault("graphql", operation="RunState", status=403))
    run_id = run_locally(logging_rows, context=CONTEXT)

    (said,) = warnings(log)
    assert "the server did not return the run's state" in said
    assert wandb_devserver.faults.fired(asked) == 1
    assert wandb_devserver.run(f"local/e2e/{run_id}").state == "finished"


@pytest.mark.parametrize("task", [logging_rows, finishing], ids=lambda task: task.name)
def test_nothing_to_say(task: Any, wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """A run that the server has is no news."""
    run_id = run_locally(task, context=CONTEXT)

    assert warnings(log) == []
    assert wandb_devserver.run(f"local/e2e/{run_id}").state == "finished"


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_server_is_not_asked_about_what_it_was_not_sent(
    mode: Any, wandb_devserver: DevServer, log: pytest.LogCaptureFixture
) -> None:
    """Without W&B there is no question, and in local mode nothing needs to be kept."""
    asked = wandb_devserver.faults.add(Fault("graphql", status=500, count=None))
    run_locally(logging_rows, context={**CONTEXT, **wandb_config(mode=mode)})

    assert wandb_devserver.faults.fired(asked) == 0
    assert warnings(log) == []
