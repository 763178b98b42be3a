"""Downloads in Flyte's local mode: the functions and `download_logs`, of runs and sweeps."""

import asyncio
import concurrent.futures
import json
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import flyte
import flyte.errors
import pytest
import wandb
from flyte.io import Dir
from flyteplugins.wandb import (
    InvalidValueError,
    download_wandb_run_dir,
    download_wandb_run_logs,
    download_wandb_sweep_dirs,
    download_wandb_sweep_logs,
    get_wandb_run,
    get_wandb_run_dir,
    get_wandb_sweep_id,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from fsspec.implementations.memory import MemoryFileSystem
from wandb_devserver import DevServer, Fault

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_downloads")

CONTEXT = wandb_config(project="e2e", settings={"x_file_stream_transmit_interval": 1})
LOGS = {**CONTEXT, **wandb_config(download_logs=True)}
SWEEP = wandb_sweep_config(method="grid", parameters={"lr": {"values": [1.5, 2.5]}})
ROWS = list(range(5))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="wandb_runtime")
    caplog.set_level(logging.INFO, logger="wandb_sweeps")
    return caplog


def messages(log: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [
        record.message
        for record in log.records
        if record.name in ("wandb_runtime", "wandb_sweeps") and record.levelno >= level
    ]


def stored(log: pytest.LogCaptureFixture) -> list[Path]:
    """Return the outputs of the traces of download_logs."""
    pattern = re.compile("Stored the files of .* as the output of a trace: (.*)")
    return [Path(found[1]) for text in messages(log, logging.INFO) if (found := pattern.fullmatch(text))]


def log_rows() -> str:
    run = get_wandb_run()
    assert run is not None
    for x in ROWS:
        run.log({"x": x})
    (Path(run.dir) / "notes.txt").write_text("a file of the user's")
    run.save("notes.txt", policy="now")
    return str(run.id)


def files_in(folder: Path | str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def assert_holds(folder: Path | str, server: DevServer, run_id: str, project: str = "local/e2e") -> None:
    """Assert that a folder has all files of a run, and nothing else."""
    folder, run = Path(folder), server.run(f"{project}/{run_id}")
    assert files_in(folder) == {*run.files, "config.json", "run.json", "summary.json", "metrics_history.json"}
    assert all((folder / name).read_bytes() == file.read_bytes() for name, file in run.files.items())
    rows = json.loads((folder / "metrics_history.json").read_text())
    assert [row["x"] for row in rows] == [row["x"] for row in run.history] != []
    assert json.loads((folder / "summary.json").read_text())["x"] == run.summary["x"]


@wandb_init
@env.task
async def child() -> str:
    """A child that joins its parent's run, or opens one."""
    return log_rows()


@wandb_init
@env.task
def child_sync() -> str:
    return log_rows()


# Functions that users call


@wandb_init
@env.task
def downloading() -> list[str]:
    run_id = log_rows()
    return [run_id, download_wandb_run_dir(), download_wandb_run_dir(include_history=False)]


@wandb_init
@env.task
async def downloading_async(folder: str) -> list[str]:
    """Blocking calls on the event loop: they must not wait for that loop."""
    run_id = log_rows()
    return [run_id, download_wandb_run_dir(path=folder)]


def test_downloads_the_current_run_with_every_row(wandb_devserver: DevServer, temporary: Path, tmp_path: Path) -> None:
    """The default folder is in /tmp/wandb_runs; rows logged so far are included although the run continues."""
    run_id, found, again = run_locally(downloading, context=CONTEXT)
    assert found == again == str(temporary / "wandb_runs" / run_id)
    other_id, other = run_locally(downloading_async, str(tmp_path / "here"), context=CONTEXT)
    assert other == str(tmp_path / "here")

    for folder in (found, other):
        rows = json.loads((Path(folder) / "metrics_history.json").read_text())
        assert [row["x"] for row in rows] == ROWS
        assert json.loads((Path(folder) / "summary.json").read_text())["x"] == ROWS[-1]
    assert {run.id for run in wandb_devserver.runs()} == {run_id, other_id}


@env.task
async def calling() -> tuple[str, Dir]:
    """Downloads the run of a child by its bare id."""
    run_id = await child()
    return run_id, await download_wandb_run_logs(run_id)


def test_download_as_a_trace_returns_a_dir(wandb_devserver: DevServer) -> None:
    """It contains exactly the requested files."""
    flyte.init()
    run = flyte.with_runcontext(mode="local", custom_context=dict(CONTEXT)).run(calling)
    run_id, found = run.outputs()[0], run.outputs()[1]

    assert_holds(found.path, wandb_devserver, run_id)


@pytest.mark.parametrize("form", ["{id}", "e2e/{id}", "local/e2e/{id}", "{url}"])
def test_every_form_of_run_id_is_accepted(
    form: str, wandb_devserver: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call works outside of a task too. The environment and the key supply missing parts."""
    run_id = run_locally(child, context=CONTEXT)
    monkeypatch.setenv("WANDB_PROJECT", "e2e")

    found = download_wandb_run_dir(
        form.format(id=run_id, url=wandb_devserver.run(f"local/e2e/{run_id}").url), tmp_path / "x", False
    )

    assert files_in(found) > {"summary.json", "notes.txt"}
    assert "metrics_history.json" not in files_in(found)


def test_missing_current_run_names_the_parameter() -> None:
    with pytest.raises(InvalidValueError, match=r"run_id: no W&B run is open here; give the run_id"):
        download_wandb_run_dir()
    with pytest.raises(InvalidValueError, match=r"sweep_id: this task has no current sweep; give the sweep_id"):
        download_wandb_sweep_dirs()
    with pytest.raises(InvalidValueError, match=r"run_id='x': has no project; write entity/project/run-id$"):
        asyncio.run(download_wandb_run_logs("x"))


@wandb_init(mode="offline")
@env.task
async def offline() -> list[str]:
    log_rows()
    run = get_wandb_run()
    assert run is not None
    logs = await download_wandb_run_logs(run.id)
    named = [download_wandb_run_dir(name) for name in (run.path, f"{run.entity or 'local'}/{run.project}/{run.id}")]
    return [str(get_wandb_run_dir()), download_wandb_run_dir(), logs.path, *named]


@wandb_init(mode="disabled")
@env.task
async def disabled() -> str:
    return download_wandb_run_dir()


def test_offline_and_disabled_runs_need_no_download(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """The folder of an offline run is its local directory; a disabled run has no folder."""
    asked = wandb_devserver.faults.add(Fault("graphql", status=500, count=None))
    for context in (LOGS, {**LOGS, **wandb_config(entity="local")}):
        of_run, *found = run_locally(offline, context=context)
        assert set(found) == {str(Path(of_run).parent)}
        assert any(Path(found[0]).glob("*.wandb"))
    with pytest.raises(flyte.errors.RuntimeUserError, match="a disabled run"):
        run_locally(disabled, context=LOGS)

    assert wandb_devserver.faults.fired(asked) == 0
    assert messages(log) == []


# download_logs


@wandb_init
@env.task
async def parent() -> list[str]:
    with wandb_config(run_mode="new"):
        own = await child()
    return [log_rows(), await child(), await child_sync.aio(), own]


def test_download_logs_runs_once_per_run(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """The task that opened the run downloads them, after its end; tasks that joined it do not."""
    mine, joined, joined_too, own = run_locally(parent, context=LOGS)
    assert mine == joined == joined_too

    first, last = stored(log)
    assert_holds(first, wandb_devserver, own)
    assert_holds(last, wandb_devserver, mine)
    assert len(wandb_devserver.run(f"local/e2e/{mine}").history) == 3 * len(ROWS)
    assert messages(log) == []


@wandb_init(download_logs=True)
@env.task
def failing() -> None:
    log_rows()
    msg = "the body's own reason"
    raise ValueError(msg)


def test_failed_task_still_downloads_logs(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """The exception of its body is raised. The task is sync."""
    with pytest.raises(flyte.errors.RuntimeUserError, match="the body's own reason"):
        run_locally(failing, context=CONTEXT)

    (folder,) = stored(log)
    (run,) = wandb_devserver.runs()
    assert run.state == "failed"
    assert_holds(folder, wandb_devserver, run.id)


@pytest.mark.parametrize("task", [child, child_sync], ids=lambda task: task.name)
def test_failed_download_is_logged_and_does_not_fail_the_task(
    task: Any, wandb_devserver: DevServer, log: pytest.LogCaptureFixture, temporary: Path
) -> None:
    """The log line names what is missing and what to do."""
    wandb_devserver.faults.add(Fault("download", target="notes.txt", status=403, count=None))
    run_id = run_locally(task, context=LOGS)

    (text,) = messages(log)
    assert f"Cannot download the files of W&B run local/e2e/{run_id} for Flyte (IncompleteDownloadError" in text
    assert "notes.txt" in text
    assert f"download them with `WANDB_BASE_URL={wandb_devserver.url} wandb-artifacts run local/e2e/{run_id}`" in text
    assert wandb_devserver.api_key not in text
    assert not [path for path in temporary.rglob("*") if path.is_file() and "notes" in path.name]


def test_download_uses_the_configured_host(
    wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """It uses the key of the run too."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    run_id = run_locally(child, context={**LOGS, **wandb_config(host=wandb_devserver.url)})

    (folder,) = stored(log)
    assert_holds(folder, wandb_devserver, run_id)


def test_undelivered_run_is_reported_without_waiting(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """There is nothing to download."""
    wandb_devserver.faults.add(Fault("file_stream", status=403))
    run_id = run_locally(child, context=LOGS)

    (text,) = messages(log)
    assert f"local/e2e/{run_id} was not uploaded completely" in text
    assert stored(log) == []


def test_run_whose_files_are_refused_is_not_stored_as_complete(
    wandb_devserver: DevServer, log: pytest.LogCaptureFixture, temporary: Path
) -> None:
    """W&B has its rows and its end; the log line names the file and the command that delivers it."""
    wandb_devserver.faults.add(Fault("upload", status=403, count=None))
    run_id = run_locally(child, context=LOGS)

    run = wandb_devserver.run(f"local/e2e/{run_id}")
    assert (run.state, [row["x"] for row in run.history]) == ("finished", ROWS)
    (text,) = messages(log)
    assert f"local/e2e/{run_id} was not uploaded completely (the server lacks " in text
    assert "notes.txt" in text
    assert "wandb sync" in text
    assert stored(log) == []
    assert not list(temporary.rglob("manifest.json"))


@wandb_init(download_logs=True)
def function() -> str:
    return log_rows()


def test_plain_function_cannot_store_logs(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """It has no outputs; a log line reports it."""
    function()

    (text,) = messages(log)
    assert "download_logs=True has no effect on a function that is not called as a Flyte task" in text
    assert len(wandb_devserver.runs()) == 1


@wandb_init
@env.task
async def cancelled() -> None:
    log_rows()
    asyncio.current_task().cancel()  # type: ignore[union-attr]
    await asyncio.sleep(0)


def test_cancelled_task_skips_the_download(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """A log line reports it."""
    asked = wandb_devserver.faults.add(Fault("download", delay=60, count=None))
    with pytest.raises(concurrent.futures.CancelledError):
        run_locally(cancelled, context=LOGS)

    (text,) = messages(log)
    assert "were not downloaded: CancelledError ended the task" in text
    assert wandb_devserver.faults.fired(asked) == 0


# Sweeps

# W&B's SDK leaves the file of each trial's configuration to the garbage collector.
agents = pytest.mark.filterwarnings("ignore:Exception ignored in.*sweep-:pytest.PytestUnraisableExceptionWarning")


@wandb_init
def objective() -> None:
    run = get_wandb_run()
    assert run is not None
    for x in ROWS:
        run.log({"x": x, "lr": run.config["lr"]})


@wandb_sweep
@env.task
async def joining() -> str | None:
    return get_wandb_sweep_id()


@wandb_sweep(download_logs=True)
@env.task
async def searching(folder: str) -> tuple[str, Dir, list[str], list[str]]:
    sweep_id = str(get_wandb_sweep_id())
    wandb.agent(sweep_id, function=objective)
    await joining()
    return (
        sweep_id,
        await download_wandb_sweep_logs(sweep_id),
        download_wandb_sweep_dirs(),
        download_wandb_sweep_dirs(f"local/e2e/{sweep_id}", folder, False),
    )


@wandb_sweep(download_logs=True, on_failure="stop")
@env.task
def failing_search() -> None:
    wandb.agent(str(get_wandb_sweep_id()), function=objective, count=1)
    msg = "the body's own reason"
    raise ValueError(msg)


@agents
def test_sweep_logs_are_downloaded_once(
    wandb_devserver: DevServer, log: pytest.LogCaptureFixture, temporary: Path, tmp_path: Path
) -> None:
    """The task that created the sweep downloads them: one folder per run and nothing else."""
    flyte.init()
    run = flyte.with_runcontext(mode="local", custom_context={**CONTEXT, **SWEEP}).run(searching, str(tmp_path / "x"))
    sweep_id, logs, folders, others = run.outputs()

    (sweep,) = wandb_devserver.sweeps()
    trials = [trial.id for trial in sorted(sweep.trials, key=lambda trial: trial.created_at)]
    assert (sweep.id, len(trials)) == (sweep_id, 2)
    (kept,) = stored(log)
    for place in (Path(logs.path), kept):
        assert {path.name for path in place.iterdir()} == set(trials)
        for trial in trials:
            assert_holds(place / trial, wandb_devserver, trial)
    assert folders == [str(temporary / "wandb_runs" / trial) for trial in trials]
    assert others == [str(tmp_path / "x" / trial) for trial in trials]
    assert all((Path(folder) / "metrics_history.json").exists() for folder in folders)
    assert not any((Path(folder) / "metrics_history.json").exists() for folder in others)
    assert messages(log) == []


@agents
def test_root_of_a_bucket_is_a_destination(
    wandb_devserver: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid destination is refused and never becomes the root folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(flyte.errors.RuntimeUserError):
        run_locally(failing_search, context={**CONTEXT, **SWEEP})
    (sweep,) = wandb_devserver.sweeps()
    (trial,) = sweep.trials
    name = f"local/e2e/{sweep.id}"

    (found,) = download_wandb_sweep_dirs(name, "memory://")
    assert MemoryFileSystem().exists(f"/{trial.id}/summary.json")
    assert found == f"memory://{trial.id}"
    assert not (tmp_path / "memory:").exists()
    assert download_wandb_run_dir(f"local/e2e/{trial.id}", "memory://") == "memory://"
    assert download_wandb_sweep_dirs(name, f"{tmp_path}/x/") == [str(tmp_path / "x" / trial.id)]
    for base_path in ("", 5):
        with pytest.raises(InvalidValueError, match="must be a path"):
            download_wandb_sweep_dirs(name, base_path)  # type: ignore[arg-type]


@agents
def test_failed_sweep_task_still_downloads_runs(wandb_devserver: DevServer, log: pytest.LogCaptureFixture) -> None:
    """The sweep is ended, and the exception of the body is raised."""
    with pytest.raises(flyte.errors.RuntimeUserError, match="the body's own reason"):
        run_locally(failing_search, context={**CONTEXT, **SWEEP})

    (sweep,) = wandb_devserver.sweeps()
    assert sweep.state == "FINISHED"
    (kept,) = stored(log)
    (trial,) = sweep.trials
    assert_holds(kept / trial.id, wandb_devserver, trial.id)


@agents
def test_failed_sweep_download_keeps_the_exception_of_the_body(
    wandb_devserver: DevServer, log: pytest.LogCaptureFixture
) -> None:
    """The failed download is logged."""
    wandb_devserver.faults.add(Fault("download", status=403, count=None))
    with pytest.raises(flyte.errors.RuntimeUserError, match="the body's own reason"):
        run_locally(failing_search, context={**CONTEXT, **SWEEP})

    (text,) = messages(log)
    assert "for Flyte (IncompleteDownloadError" in text
    assert "wandb-artifacts sweep local/e2e/" in text
