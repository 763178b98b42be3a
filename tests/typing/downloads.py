"""Downloads in tasks. Never executed: read by mypy."""

from pathlib import Path

import flyte
from flyte.io import Dir
from flyteplugins.wandb import (
    download_wandb_run_dir,
    download_wandb_run_logs,
    download_wandb_sweep_dirs,
    download_wandb_sweep_logs,
)
from typing_extensions import assert_type
from wandb_artifacts import ArtifactRef, RunRef, SweepRef
from wandb_artifacts.flyte import download_artifact_to_dir, download_run_to_dir, download_sweep_to_dir

env = flyte.TaskEnvironment(name="typing")


@env.task
async def downloading(run_id: str, sweep_id: str) -> Dir:
    assert_type(download_wandb_run_dir(), str)
    assert_type(download_wandb_run_dir(run_id, Path("/x"), include_history=False), str)
    assert_type(download_wandb_sweep_dirs(), list[str])
    assert_type(download_wandb_sweep_dirs(sweep_id, "/x", include_history=False), list[str])
    download_wandb_run_dir(run=run_id)  # type: ignore[call-arg]
    download_wandb_run_dir(RunRef("e", "p", "x"))  # type: ignore[arg-type]
    download_wandb_sweep_dirs(include_history="no")  # type: ignore[arg-type]
    await download_wandb_run_logs()  # type: ignore[call-arg]
    await download_wandb_sweep_logs(None)  # type: ignore[arg-type]
    of_sweep: Dir = await download_wandb_sweep_logs(sweep_id)
    of_run: Dir = await download_wandb_run_logs(run_id)
    return of_run or of_sweep


@env.task
async def storing(run_id: str) -> Dir:
    stored: Dir = await download_run_to_dir.aio(RunRef("e", "p", run_id), include="*.pt", history_format="jsonl")
    blocking: Dir = download_sweep_to_dir(SweepRef("e", "p", "x"), jobs=4, deadline=60)
    await download_run_to_dir.aio(run_id, destination="/x")  # type: ignore[call-arg]
    download_sweep_to_dir(RunRef("e", "p", "x"))  # type: ignore[arg-type]
    download_run_to_dir(run_id, history_format="csv")  # type: ignore[arg-type]
    return stored or blocking


@env.task
async def storing_artifacts(artifact: str) -> Dir:
    stored: Dir = await download_artifact_to_dir.aio(ArtifactRef("e", "p", "n"), include="*.pt", references="skip")
    blocking: Dir = download_artifact_to_dir(artifact, jobs=4, deadline=60)
    download_artifact_to_dir(RunRef("e", "p", "x"))  # type: ignore[arg-type]
    return stored or blocking
