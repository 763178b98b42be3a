"""Tasks whose W&B server is unreachable, refuses them or accepts no data; and secrecy of the API key."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from flyteplugins.wandb import wandb_config
from wandb_devserver import DevServer, Fault

from tests.remote.support import CONTEXT, PROJECT, logged, run_of
from tests.support.control_plane.actions import Kind, Phase
from tests.support.control_plane.plane import ControlPlane, Run

IMPATIENT = {"WANDB_INIT_TIMEOUT": "1"}


@pytest.fixture
def refusing_host() -> Iterator[str]:
    """A loopback URL with a reserved port on which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def stored_directories(plane: ControlPlane, run: Run, folder: Path) -> list[Path]:
    """Download the run directories that are outputs of traces of a Flyte run, in order."""
    folders = []
    for trace in plane.actions(run):
        if trace.kind is Kind.TRACE:
            (uri,) = map(str, trace.outputs.values())
            copy = folder / trace.name / uri.rpartition("/")[2]
            for name in plane.store.list(uri):
                content = plane.store.read(f"{uri}/{name}")
                assert content is not None
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes(content)
            assert any(copy.glob("*.wandb")), list(copy.rglob("*"))
            folders.append(copy)
    return folders


def execute(command: str, cwd: Path) -> None:
    """Run a command from a warning in a shell that has only the API key."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # The service process of this process has another working directory.
    known = {name: value for name, value in os.environ.items() if name not in ("WANDB_BASE_URL", "WANDB_SERVICE")}
    subprocess.run(["sh", "-c", command], env={**known, "PATH": path}, cwd=cwd, check=True, timeout=60)


def command_for_stored(stderr: str) -> str:
    """Return the command in the only warning about data that Flyte stores."""
    (command,) = re.findall(r"is stored in Flyte.*upload it with `(.*)`", stderr)
    return str(command)


def test_offline_run_of_each_attempt_is_stored(
    plane: ControlPlane, wandb_devserver: DevServer, refusing_host: str, tmp_path: Path
) -> None:
    """It is the output of a trace, since pods are ephemeral; `wandb sync` delivers every row."""
    plane.pods.env.update(IMPATIENT, WANDB_BASE_URL=refusing_host)
    run = plane.run("outages:tolerant", context=CONTEXT)

    first, second = run.root.attempts
    assert (first.phase, second.phase) == (Phase.FAILED, Phase.SUCCEEDED)
    assert first.error is not None
    assert first.error.message.endswith("the first attempt's reason")
    for attempt in (first, second):
        assert "nothing listens there" in attempt.stderr
        assert "Continuing offline" in attempt.stderr
    assert wandb_devserver.runs() == []

    folders = stored_directories(plane, run, tmp_path)
    assert len(folders) == 2
    for attempt, folder in zip((first, second), folders, strict=True):
        command = command_for_stored(attempt.stderr).replace(refusing_host, wandb_devserver.url)
        assert command.endswith(folder.name)
        execute(command, cwd=folder.parent)
    (run_id,) = run.result
    delivered = wandb_devserver.run(f"{PROJECT}/{run_id}")
    assert (delivered.state, logged(delivered, "x")) == ("finished", list(range(20)))


def check_artifacts(run_id: str, folder: Path) -> None:
    """Check that W&B has what `log_artifacts` logs."""
    model = wandb.Api().artifact(f"{PROJECT}/model:latest")
    table = wandb.Api().artifact(f"{PROJECT}/run-{run_id}-table:latest").get("table")
    assert model.state == "COMMITTED"
    contents = Path(model.download(folder))
    assert {path.name: path.read_text() for path in contents.iterdir()} == {
        "model.txt": "the model",
        "data.txt": "the data",
    }
    assert table.data == [[42]]


def test_artifacts_of_an_offline_run_are_stored(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """The SDK keeps their contents outside of the run's directory; the pod's own files are left out."""
    data_dir = tmp_path / "data of the pod"
    plane.pods.env.update(WANDB_DATA_DIR=str(data_dir))
    run = plane.run("outages:logging_artifacts", context=CONTEXT)
    shutil.rmtree(data_dir)
    (folder,) = stored_directories(plane, run, tmp_path / "kept")
    execute(command_for_stored(run.root.last.stderr), cwd=folder.parent)
    (run_id,) = run.result
    check_artifacts(run_id, tmp_path / "model")
    assert logged(wandb_devserver.run(f"{PROJECT}/{run_id}"), "x") == list(range(10))


def test_artifacts_are_stored_when_wandb_goes_away(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """Although the SDK deletes their contents, and its log of an online run does not have them."""
    with DevServer(data_dir=tmp_path / "lost") as lost:
        lost_url = lost.url
        plane.pods.env.update(lost.env, WANDB_DATA_DIR=str(tmp_path / "data of the pod"), WANDB_HTTP_TIMEOUT="1")
        run = plane.start("outages:losing_wandb", context=CONTEXT)
        plane.wait_for_output(run.root, "open")
    plane.wait(run)
    shutil.rmtree(tmp_path / "data of the pod")

    (folder,) = stored_directories(plane, run, tmp_path / "kept")
    command = command_for_stored(run.root.last.stderr).replace(lost_url, wandb_devserver.url)
    execute(command, cwd=folder.parent)
    (run_id,) = run.result
    check_artifacts(run_id, tmp_path / "model")
    assert logged(wandb_devserver.run(f"{PROJECT}/{run_id}"), "x") == list(range(10))


def test_working_directory_of_an_online_run_may_vanish(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """A relative directory for local files is resolved when the run opens."""
    run = plane.run("outages:moving", context=CONTEXT)

    delivered = run_of(run.root, wandb_devserver)
    assert (delivered.state, logged(delivered, "x")) == ("finished", list(range(10)))
    assert "was not uploaded" not in run.root.last.stderr


def test_on_unavailable_from_the_configuration(
    plane: ControlPlane, wandb_devserver: DevServer, refusing_host: str, tmp_path: Path
) -> None:
    """In a sync task, whose trace is sync."""
    plane.pods.env.update(IMPATIENT)
    offline = wandb_config(host=refusing_host, on_unavailable="offline")
    run = plane.run("outages:blocking", context={**CONTEXT, **offline})

    (folder,) = stored_directories(plane, run, tmp_path)
    command = command_for_stored(run.root.last.stderr).replace(refusing_host, wandb_devserver.url)
    execute(command, cwd=folder.parent)
    assert logged(run_of(run.root, wandb_devserver), "x") == list(range(10))


def test_refused_data_is_stored_and_the_outcome_kept(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """Result or exception of the task survive, and closing is bounded in time; no key that is echoed is stored."""
    key = wandb_devserver.api_key
    echo = [key, base64.b64encode(f"api:{key}".encode()).decode()]
    wandb_devserver.faults.add(Fault("file_stream", target="refused", status=403, body=" ".join(echo)))
    wandb_devserver.faults.add(Fault("file_stream", target="gone", drop=True, count=None))
    returning = plane.start("outages:strict", context={**CONTEXT, **wandb_config(id="refused")})
    raising = plane.start("outages:failing", context={**CONTEXT, **wandb_config(id="gone", finish_timeout=1)})
    plane.wait(returning)
    plane.wait(raising, expect=Phase.FAILED)

    assert returning.result == ("refused",)
    assert raising.root.error is not None
    assert raising.root.error.message.endswith("the body's own reason")
    wandb_devserver.faults.clear()
    for run, name, why, state in (
        (returning, "refused", "it is running on the server", "finished"),
        (raising, "gone", "TimeoutError", "failed"),
    ):
        stderr = run.root.last.stderr
        assert f"W&B run {PROJECT}/{name} was not uploaded completely ({why}" in stderr
        (folder,) = stored_directories(plane, run, tmp_path / name)
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert [file for file in files if any(secret.encode() in file.read_bytes() for secret in echo)] == []
        execute(command_for_stored(stderr), cwd=folder.parent)
        delivered = wandb_devserver.run(f"{PROJECT}/{name}")
        assert (delivered.state, logged(delivered, "x")) == (state, list(range(10)))


def test_refusal_fails_the_action_before_its_body(
    plane: ControlPlane, wandb_devserver: DevServer, refusing_host: str
) -> None:
    """Each cause has its own message; nothing is left running."""
    plane.pods.env.update(IMPATIENT)
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", status=403))
    wrong = "w" * 40
    cases = [
        ("outages:strict", {"WANDB_BASE_URL": refusing_host}, "UnavailableError", "nothing listens there"),
        ("outages:strict", {"WANDB_API_KEY": wrong}, "RunOpenError", "refuses the API key (401)"),
        ("outages:strict", {}, "RunOpenError", "refuses project 'remote' of entity 'local'"),
        ("outages:strict", {"WANDB_API_KEY": "", "NETRC": "/dev/null"}, "MissingApiKeyError", "flyte.Secret"),
        ("outages:sharing", {}, "NoParentRunError", 'run_mode="shared"'),
    ]
    started = [plane.start(task, env=env, context=CONTEXT) for task, env, _, _ in cases]
    for run, (_, _, code, message) in zip(started, cases, strict=True):
        plane.wait(run, expect=Phase.FAILED)
        assert run.root.error is not None
        assert (run.root.error.code, message in run.root.error.message) == (code, True)
        assert wrong not in run.root.error.message + run.root.last.stderr
        assert "the body has started" not in run.root.last.stdout

    assert wandb_devserver.runs() == []


def test_invalid_value_in_a_body_fails_action_and_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The error names the field."""
    run = plane.run("outages:configuring_badly", {"api_key": "v" * 20}, context=CONTEXT, expect=Phase.FAILED)

    assert run.root.error is not None
    assert run.root.error.code == "InvalidValueError"
    assert "config['api_key']" in run.root.error.message
    assert "v" * 20 not in run.root.error.message
    assert run_of(run.root, wandb_devserver).state == "failed"


def test_stopped_task_and_task_without_a_controller_store_nothing(plane: ControlPlane) -> None:
    """Neither fails because of it, and both log it."""
    alone = {"FLYTE_CLUSTERED_WORKER": "1", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    stopped = plane.start("outages:sleeping", context=CONTEXT)
    worker = plane.start("outages:offline", context=CONTEXT, env=alone)
    without_files = plane.start("outages:losing", context=CONTEXT)
    plane.wait_for_output(stopped.root, "asleep")
    plane.abort(stopped)
    plane.wait(stopped, expect=Phase.ABORTED)
    plane.wait(worker)
    plane.wait(without_files)

    assert re.search(r"Flyte could not store.*exists only in", without_files.root.last.stderr)
    for run, reason in ((stopped, "the task is being stopped"), (worker, "worker processes of a distributed task")):
        assert re.search(rf"exists only in .*{reason}", run.root.last.stderr), run.root.last.stderr
        assert plane.actions(run) == [run.root]
    assert stopped.root.last.signal is not signal.SIGKILL


def test_key_is_never_exposed(plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """Neither the key nor a refused credential is in a file, log, object, link, error or W&B run."""
    key, credential = plane.pods.env.pop("WANDB_API_KEY"), "a-credential-that-nobody-may-read"
    plane.pods.secrets["wandb"] = key
    run = plane.run("outages:careful", credential, context=CONTEXT, expect=Phase.FAILED)

    assert run.root.error is not None
    assert "config['password']" in run.root.error.message
    bucket = "/".join(run.root.input_uri.split("/")[:3])
    objects = {name: plane.store.read(f"{bucket}/{name}") or b"" for name in plane.store.list(bucket)}
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    output = {
        f"{action.task} {attempt.number}": (attempt.stdout + attempt.stderr + str(attempt.error)).encode()
        for action in plane.actions(run)
        for attempt in action.attempts
    }
    links = {action.task: repr(action.links).encode() for action in plane.actions(run)}
    runs = {record.id: repr(record).encode() for record in wandb_devserver.runs()}
    everything = {**objects, **files, **output, **links, **runs, "driver": run.driver.stderr.encode()}

    assert {name for name, content in everything.items() if key.encode() in content} <= {
        str(wandb_devserver.data_dir / "api-key")
    }
    # The task's input contains it by design.
    given = {name for name in everything if name.endswith(("/inputs.pb", "/job.pickle"))}
    assert {name for name, content in everything.items() if credential.encode() in content} <= given
