"""Downloads of runs and sweeps in remote mode: outputs of traces, in an object store."""

from __future__ import annotations

import json
import re

from flyteplugins.wandb import wandb_config, wandb_sweep_config
from wandb_devserver import DevServer, Fault, RunRecord

from tests.remote.support import CONTEXT, PROJECT, run_of
from tests.support.control_plane.actions import Action, Kind, Phase
from tests.support.control_plane.plane import ControlPlane, Run

LOGS = {**CONTEXT, **wandb_config(download_logs=True)}
SWEEP = wandb_sweep_config(method="grid", parameters={"lr": {"values": [1.5, 2.5]}})


def traces(plane: ControlPlane, run: Run) -> list[Action]:
    return [action for action in plane.actions(run) if action.kind is Kind.TRACE]


def contents(plane: ControlPlane, uri: object) -> dict[str, bytes]:
    """Read the files of a Dir by name."""
    found = {name: plane.store.read(f"{uri}/{name}") for name in plane.store.list(str(uri))}
    return {name: content for name, content in found.items() if content is not None}


def output(plane: ControlPlane, trace: Action) -> dict[str, bytes]:
    (uri,) = trace.outputs.values()
    return contents(plane, uri)


def steps(files: dict[str, bytes], folder: str = "") -> list[int]:
    return [row["x"] for row in json.loads(files[f"{folder}metrics_history.json"])]


MADE = ("config.json", "metrics_history.json", "run.json", "summary.json")


def everything_of(run: RunRecord, folder: str = "") -> set[str]:
    return {f"{folder}{name}" for name in (*run.files, *MADE)}


def test_each_attempt_stores_its_own_logs(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Once, by the task that opened the run, on failure too."""
    flyte_run = plane.run("downloads:retried", context=LOGS)

    root, failing = flyte_run.root, plane.action(flyte_run, "failing_sync")
    own = [trace for trace in traces(plane, flyte_run) if trace.parent == root.name]
    called_1, after_1, called_2, after_2 = own
    assert [trace.phase for trace in own] == [Phase.SUCCEEDED] * 4
    run = run_of(root, wandb_devserver)
    first, last = output(plane, after_1), output(plane, after_2)
    assert (first["notes.txt"], last["notes.txt"]) == (b"from 0", b"from 10")
    # The rows of two writers have the order of their arrival.
    assert sorted(steps(first)) == [0, 1, 2, 100, 101, 102]
    assert steps(last) == [row["x"] for row in run.history] == [*steps(first), 10, 11, 12]
    assert set(last) == everything_of(run)
    assert all(last[name] == file.read_bytes() for name, file in run.files.items())
    # Downloads that the body requests while its run continues are repeated in each attempt, too.
    assert "summary.json" in output(plane, called_1)
    run_id, logs = flyte_run.result
    assert run_id == run.id
    assert set(contents(plane, logs.path)) == set(output(plane, called_2))
    assert set(output(plane, called_2)) >= {"summary.json", "metrics_history.json"}
    # A child that opens a separate run, and fails.
    (of_child,) = (trace for trace in traces(plane, flyte_run) if trace.parent == failing.name)
    child = run_of(failing, wandb_devserver)
    assert (failing.phase, child.state) == (Phase.FAILED, "failed")
    assert set(output(plane, of_child)) == everything_of(child)
    assert steps(output(plane, of_child)) == [0, 1, 2]


def test_failed_download_fails_only_its_trace(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The task succeeds and logs a warning. An offline run is stored as it is."""
    wandb_devserver.faults.add(Fault("download", target="notes.txt", status=403, count=None))
    runs = [plane.start(f"downloads:{name}", context=CONTEXT) for name in ("undownloadable", "undownloadable_sync")]
    offline = plane.start("downloads:offline", context=CONTEXT)
    for flyte_run in (*runs, offline):
        plane.wait(flyte_run)

    for flyte_run in runs:
        (trace,) = traces(plane, flyte_run)
        assert trace.phase is Phase.FAILED
        assert re.search(
            rf"Cannot download the files of W&B run {PROJECT}/{flyte_run.result[0]} for Flyte.*Incomplete",
            flyte_run.root.last.stderr,
        )
        assert run_of(flyte_run.root, wandb_devserver).state == "finished"
        assert wandb_devserver.api_key not in flyte_run.root.last.stderr
    (kept,) = traces(plane, offline)
    assert any(name.endswith(".wandb") for name in output(plane, kept))
    assert "is stored in Flyte" in offline.root.last.stderr


def test_sweep_logs_are_stored_once(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The creator stores them: one folder for each trial, although other pods ran them."""
    flyte_run = plane.run("downloads:searching", context={**CONTEXT, **SWEEP})

    (sweep,) = wandb_devserver.sweeps(PROJECT)
    assert len(sweep.trials) == 2
    called, after = traces(plane, flyte_run)
    assert {called.parent, after.parent} == {flyte_run.root.name}
    for trace in (called, after):
        files = output(plane, trace)
        assert set(files) == set().union(*(everything_of(trial, f"{trial.id}/") for trial in sweep.trials))
        assert [steps(files, f"{trial.id}/") for trial in sweep.trials] == [[0, 1, 2]] * 2
    logs, names = flyte_run.result
    assert logs.path in called.outputs.values()
    assert names.count("metrics_history.json") == names.count("notes.txt") == 2


def test_stopped_task_skips_the_download(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The pod ends at once and logs what it skipped."""
    for name in ("stopped", "stopped_sync"):
        downloading = wandb_devserver.faults.add(Fault("download", delay=120, count=None))
        flyte_run = plane.start(f"downloads:{name}", context=CONTEXT)
        wandb_devserver.faults.wait(downloading)
        plane.abort(flyte_run)
        plane.wait(flyte_run, expect=Phase.ABORTED)
        wandb_devserver.faults.clear()

        last = flyte_run.root.last
        assert (last.exit_code, last.signal) == (143, None)
        assert re.search(r"files of W&B run \S+ (were not downloaded|for Flyte).*being stopped", last.stderr)
