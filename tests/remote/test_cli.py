"""`flyte wandb`, as a command, against a control plane."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import wandb
from wandb_devserver import DevServer

from tests.remote.support import CONTEXT, PROJECT, logged
from tests.remote.test_outages import check_artifacts
from tests.support.control_plane.driver import DOMAIN, ORG
from tests.support.control_plane.driver import PROJECT as FLYTE_PROJECT
from tests.support.control_plane.plane import ControlPlane
from tests.support.control_plane.processes import clean_environment
from tests.support.preloaded.client import popen
from tests.support.sdk_settings import LIGHT_RUNS


def flyte(plane: ControlPlane, server: DevServer, folder: Path, *command: str, code: int = 0, **more: str) -> str:
    """Run a command of Flyte on a machine that has only a configuration file, and return what it prints."""
    executables = Path(sys.executable).parent
    config = folder / "config.yaml"
    config.write_text(
        f"admin:\n  endpoint: {plane.endpoint}\n  insecure: true\n"
        f"task:\n  org: {ORG}\n  project: {FLYTE_PROJECT}\n  domain: {DOMAIN}\n"
    )
    env = {**clean_environment(folder / "home", executables), **plane.store.env, **server.env, **LIGHT_RUNS, **more}
    with popen(["flyte", "--config", str(config), "wandb", *command], env, folder) as process:
        output, errors = process.communicate(timeout=150)
    assert process.returncode == code, output + errors
    return output + errors if code else output


def test_sync_delivers_every_attempt_once(plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """The pods are gone; rows, files and artifacts of both attempts arrive, and a second call changes nothing."""
    data_dir = tmp_path / "data of the pods"
    plane.pods.env.update(WANDB_DATA_DIR=str(data_dir))
    run = plane.run("outages:retried_offline", context=CONTEXT)
    shutil.rmtree(data_dir)
    (run_id,) = run.result
    assert wandb_devserver.runs() == []

    first = flyte(plane, wandb_devserver, tmp_path, "sync", run.name)

    assert first.count(": delivered to ") == 2
    delivered = wandb_devserver.run(f"{PROJECT}/{run_id}")
    assert (delivered.state, logged(delivered, "x")) == ("finished", list(range(20)))
    assert {"attempt-0.txt", "attempt-1.txt"} <= set(delivered.files)
    check_artifacts(run_id, tmp_path / "model")

    second = flyte(plane, wandb_devserver, tmp_path, "sync", run.name, "a0")

    assert second.count(": was already delivered to ") == 2
    assert wandb_devserver.run(f"{PROJECT}/{run_id}") == delivered
    unknown = flyte(plane, wandb_devserver, tmp_path, "sync", "unknown", code=1)
    assert "Cannot read Flyte run unknown" in unknown


def test_sync_states_what_it_does_not_deliver(plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """A copy of an open run has no server, and a directory that the body deleted was not stored."""
    (tmp_path / "home").mkdir()
    copied, lost = plane.run("outages:copied", context=CONTEXT), plane.run("outages:losing", context=CONTEXT)

    lines = flyte(plane, wandb_devserver, tmp_path, "sync", copied.name).splitlines()
    (lost_line,) = flyte(plane, wandb_devserver, tmp_path, "sync", lost.name).splitlines()

    (skipped,) = (line for line in lines if ": skipped. It was stored while the run was open" in line)
    (delivered,) = (line for line in lines if ": delivered to " in line)
    assert "and run `wandb sync offline-run-" in skipped
    assert f"{PROJECT}/{copied.result[0]}" in delivered
    assert len(lines) == 2
    assert ": skipped. Its directory was not stored, because trace " in lost_line
    assert [run.id for run in wandb_devserver.runs()] == list(copied.result)


def test_doctor_names_the_configuration_of_flyte(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """It is a command of Flyte, and gets its options."""
    (tmp_path / "home").mkdir()
    checks = json.loads(flyte(plane, wandb_devserver, tmp_path, "doctor", "--json"))["checks"]

    (found,) = (check["text"] for check in checks if check["check"] == "flyte configuration")
    assert found.startswith(f"endpoint {plane.endpoint}, project {FLYTE_PROJECT}, domain {DOMAIN}")


def test_download_fetches_the_runs_of_a_flyte_run(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """All of them, with an index, or those of one action; W&B's ids are found beside Flyte's names."""
    run = plane.run("families:parent_of_new", context=CONTEXT)
    (ids,) = run.result
    del ids["mode"]
    plane.run("single:training", 1, context=CONTEXT)
    child = next(action for action in plane.actions(run) if ids["first"].endswith(f"-{action.name}"))
    (tmp_path / "home").mkdir()

    flyte(plane, wandb_devserver, tmp_path, "download", run.name)
    flyte(plane, wandb_devserver, tmp_path, "download", f"{run.name}/{child.name}", "one")

    index = [json.loads(line) for line in (tmp_path / run.name / "runs.jsonl").read_text().splitlines()]
    assert {row["id"] for row in index} == set(ids.values())
    assert {path.name for path in (tmp_path / run.name).iterdir() if path.is_dir()} == set(ids.values())
    assert [path.name for path in (tmp_path / "one").iterdir() if path.is_dir()] == [ids["first"]]

    for name in (f"{run.name}/a9", "unknown"):
        refused = flyte(plane, wandb_devserver, tmp_path, "download", name, code=4)
        assert f"Error: {name}: Flyte has no such run. A run or sweep of W&B is entity/project/id" in refused
    wandb.init(entity="local", project="remote", id=run.name).finish()
    place = {"WANDB_ENTITY": "local", "WANDB_PROJECT": "remote"}
    refused = flyte(plane, wandb_devserver, tmp_path, "download", run.name, code=2, **place)
    assert f"is both a Flyte run and local/remote/{run.name} at W&B" in refused
