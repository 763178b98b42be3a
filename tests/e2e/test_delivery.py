"""Data that the server does not accept: it is not lost, and the task keeps its result or error."""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import get_wandb_run, get_wandb_run_dir, wandb_config, wandb_init
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
    """Finish the run in the body."""
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


def test_refused_data_is_reported_with_a_command_that_delivers_it(
    wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """The SDK logs nothing; the command sends every row to the run's own host."""
    wandb_devserver.faults.add(Fault("file_stream", status=403))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    run_id = run_locally(logging_rows, context={**CONTEXT, **wandb_config(host=wandb_devserver.url)})

    (warning,) = warnings(log)
    assert f"local/e2e/{run_id} was not uploaded completely (it is running on the server)" in warning
    execute_command_in(warning)
    run = wandb_devserver.run(f"local/e2e/{run_id}")
    assert (run.state, [row["x"] for row in run.history]) == ("finished", ROWS)


def test_command_for_a_shared_run_keeps_other_writers(
    wandb_devserver: DevServer, log: pytest.LogCaptureFixture
) -> None:
    """Under its own id the data would replace the rows of other writers."""
    wandb_devserver.faults.add(Fault("file_stream", status=403))
    shared = wandb_config(mode="shared", settings={"x_label": "the writer"})
    run_id = run_locally(logging_rows, context={**CONTEXT, **shared})

    (warning,) = warnings(log)
    assert "as a separate run" in warning
    execute_command_in(warning)
    rows = {run.id: [row["x"] for row in run.history] for run in wandb_devserver.runs()}
    assert rows == {run_id: [], f"{run_id}-the-writer": ROWS}


def test_server_outage_mid_run_keeps_exception_and_data(
    wandb_devserver: DevServer, log: pytest.LogCaptureFixture
) -> None:
    """Closing is bounded in time, and the user sees the exception of the body."""
    wandb_devserver.faults.add(Fault("file_stream", drop=True, count=None))
    with pytest.raises(flyte.errors.RuntimeUserError, match="the body's own reason"):
        run_locally(failing, context={**CONTEXT, **wandb_config(finish_timeout=1)})

    (warning,) = warnings(log)
    assert "local/e2e/failing was not uploaded completely (TimeoutError" in warning
    wandb_devserver.faults.clear()
    execute_command_in(warning)
    run = wandb_devserver.run("local/e2e/failing")
    assert (run.state, [row["x"] for row in run.history]) == ("failed", ROWS)


def test_unverifiable_delivery_is_reported(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """The warning states that the server could not be queried; the data may have arrived."""
    asked = wandb_devserver.faults.add(Fault("graphql", operation="RunState", status=403))
    run_id = run_locally(logging_rows, context=CONTEXT)

    (warning,) = warnings(log)
    assert "the server did not return the run's state" in warning
    assert wandb_devserver.faults.fired(asked) == 1
    assert wandb_devserver.run(f"local/e2e/{run_id}").state == "finished"


@pytest.mark.parametrize("task", [logging_rows, finishing], ids=lambda task: task.name)
def test_delivered_run_logs_nothing(task: Any, wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    run_id = run_locally(task, context=CONTEXT)

    assert warnings(log) == []
    assert wandb_devserver.run(f"local/e2e/{run_id}").state == "finished"


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_runs_without_a_server_are_not_verified(
    mode: Any, wandb_devserver: DevServer, log: pytest.LogCaptureFixture
) -> None:
    """Flyte does not store them in local mode."""
    asked = wandb_devserver.faults.add(Fault("graphql", status=500, count=None))
    run_locally(logging_rows, context={**CONTEXT, **wandb_config(mode=mode)})

    assert wandb_devserver.faults.fired(asked) == 0
    assert warnings(log) == []


def save_notes() -> str:
    Path("notes.txt").write_text("notes")
    return "notes.txt"


@wandb_init
@env.task
async def logging_files() -> str:
    run = get_wandb_run(required=True)
    run.log({"table": wandb.Table(columns=["x"], data=[[1]])})
    run.save(save_notes())
    artifact = wandb.Artifact("model", "model")
    artifact.add_file("notes.txt", "kept.txt", policy="immutable")
    with artifact.new_file("staged.txt") as file:
        file.write("staged")
    run.log_artifact(artifact)
    delete_staged_contents()
    return run.id


def delete_staged_contents() -> None:
    """Do as SDKs before 0.31 with the contents of artifacts that W&B has refused."""
    staging = Path(os.environ["WANDB_DATA_DIR"], "artifacts", "staging")
    staged = [content for content in staging.iterdir() if content.suffix != ".kept"]
    assert staged
    for content in staged:
        content.unlink()


@pytest.mark.parametrize("status", [403, 507])
def test_refused_files_are_reported_and_delivered(
    status: int,
    wandb_devserver: DevServer,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """With 403, W&B has the end of the run; with 507, the SDK retries until `finish_timeout`."""
    monkeypatch.chdir(tmp_path)
    wandb_devserver.faults.add(Fault("upload", status=status, count=None))
    run_id = run_locally(logging_files, context={**CONTEXT, **wandb_config(finish_timeout=60 if status == 403 else 5)})

    (warning,) = warnings(log)
    if status == 403:
        assert "the server lacks media/table/table_0_" in warning
        assert "notes.txt" in warning
    else:
        assert "TimeoutError" in warning
    assert f"lacks artifacts model, run-{run_id}-table: " in warning
    wandb_devserver.faults.clear()
    execute_command_in(warning)
    model = wandb.Api().artifact("local/e2e/model:latest")
    contents = Path(model.download(tmp_path / "model"))
    assert {path.name: path.read_text() for path in contents.iterdir()} == {"kept.txt": "notes", "staged.txt": "staged"}
    assert model.state == "COMMITTED"
    assert wandb.Api().artifact(f"local/e2e/run-{run_id}-table:latest").get("table").data == [[1]]
    names = {file.name for file in wandb.Api().run(f"local/e2e/{run_id}").files()}
    assert "notes.txt" in names
    assert any(name.startswith("media/table/") for name in names)


def leave(how: str) -> None:
    """Change the working directory, as Hydra does, or delete it."""
    if how == "change":
        Path("elsewhere").mkdir()
        os.chdir("elsewhere")
    else:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)


@wandb_init
@env.task
async def leaving(how: str) -> list[str]:
    before = get_wandb_run_dir()
    leave(how)
    run_id = log_rows()
    return [run_id, str(before), str(get_wandb_run_dir())]


@wandb_init
@env.task
def leaving_sync(how: str) -> list[str]:
    leave(how)
    get_wandb_run(required=True).finish()
    run_id = log_rows()
    return [run_id, str(get_wandb_run_dir())]


@pytest.mark.parametrize(
    ("task", "how", "mode", "given"),
    [
        (leaving, "change", "offline", "variable"),
        (leaving, "delete", "offline", "argument"),
        (leaving, "delete", "online", "variable"),
        (leaving_sync, "change", "online", "argument"),
    ],
)
def test_body_may_leave_the_working_directory(
    task: Any,
    how: str,
    mode: Any,
    given: str,
    wandb_devserver: DevServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    log: pytest.LogCaptureFixture,
) -> None:
    """A relative directory is resolved when the run opens, also if the body ends the run later."""
    monkeypatch.chdir(tmp_path)
    config: Any = wandb_config(mode=mode)
    if given == "variable":
        monkeypatch.setenv("WANDB_DIR", "out")
    else:
        config = {**config, **wandb_config(dir="out")}
    run_id, *folders = run_locally(task, how, context={**CONTEXT, **config})

    assert {Path(folder).parents[2] for folder in folders} == {tmp_path / "out"}
    assert all("before its task ended" in warning for warning in warnings(log))
    if mode == "offline":
        assert list(Path(folders[0]).parent.glob("*.wandb"))
        return
    run = wandb_devserver.run(f"local/e2e/{run_id}")
    assert (run.state, [row["x"] for row in run.history]) == ("finished", ROWS)
