"""Artifacts as outputs and inputs of runs. Never executed: read by mypy."""

from pathlib import Path

import flyte
from flyte.io import Dir, File
from flyteplugins.wandb import (
    ArtifactError,
    download_wandb_artifact_dir,
    get_wandb_run,
    log_wandb_artifact,
    use_wandb_artifact,
    wandb_init,
)
from typing_extensions import assert_type
from wandb_artifacts import ArtifactRef, RunRef, WandbPluginError

env = flyte.TaskEnvironment(name="typing")


@wandb_init
@env.task
async def producing(folder: Dir, file: File) -> str:
    run = get_wandb_run(required=True)
    assert_type(await log_wandb_artifact.aio(folder, name="n", type="t"), ArtifactRef)
    assert_type(log_wandb_artifact(file, name="n", type="t", aliases=["a"], tags=("b",)), ArtifactRef)
    log_wandb_artifact(Path("x"), name="n", type="t", metadata={"rows": 3, "nested": [1]}, run=run)
    log_wandb_artifact("s3://bucket/x", name="n", type="t", description="d")
    log_wandb_artifact(folder, "n", "t")  # type: ignore[call-arg]
    log_wandb_artifact(folder, name="n")  # type: ignore[call-arg]
    log_wandb_artifact(5, name="n", type="t")  # type: ignore[arg-type]
    log_wandb_artifact(folder, name="n", type="t", aliases=3)  # type: ignore[arg-type]
    log_wandb_artifact(folder, name="n", type="t", run="id")  # type: ignore[arg-type]
    raise ArtifactError


def refused(error: ArtifactError) -> WandbPluginError:
    return error


@env.task
async def consuming(ref: str) -> Dir:
    blocking: Dir = use_wandb_artifact(ArtifactRef("e", "p", "n"))
    assert_type(download_wandb_artifact_dir(ref), str)
    assert_type(download_wandb_artifact_dir(ArtifactRef("e", "p", "n"), Path("/x")), str)
    use_wandb_artifact(RunRef("e", "p", "x"))  # type: ignore[arg-type]
    await use_wandb_artifact.aio(ref, "dataset")  # type: ignore[call-arg]
    download_wandb_artifact_dir()  # type: ignore[call-arg]
    folder: Dir = await use_wandb_artifact.aio(ref, type="dataset")
    return folder or blocking
