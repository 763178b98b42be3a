"""Tasks that log and use artifacts. Pods import this module."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import flyte
from flyte.io import Dir
from flyteplugins.wandb import get_wandb_run, log_wandb_artifact, use_wandb_artifact, wandb_init

env = flyte.TaskEnvironment(name="lineage")


def write_files(text: str) -> str:
    folder = tempfile.mkdtemp()
    Path(folder, "a.txt").write_text(text)
    return folder


def read(folder: str) -> str:
    return Path(folder, "a.txt").read_text()


@wandb_init
@env.task
def joining_sync(data: Dir) -> str:
    """A second writer of its parent's run."""
    ref = log_wandb_artifact(data, name="shared", type="dataset")
    used = use_wandb_artifact(ref, type="dataset")
    assert read(used.download_sync()) == "of the store"
    return str(ref)


@wandb_init
@env.task
async def sharing() -> list[str]:
    data = await Dir.from_local(write_files("of the store"))
    ref = await joining_sync.aio(data)
    parents = await log_wandb_artifact.aio(write_files("of the parent"), name="parents", type="dataset")
    await use_wandb_artifact.aio(parents)
    return [ref, str(parents)]


@wandb_init
@env.task(retries=1)
async def retried() -> list[str]:
    """The alias moves before the second attempt, which logs the first version again at its end."""
    is_first = os.environ["FLYTE_ATTEMPT_NUMBER"] == "0"
    if is_first:
        await log_wandb_artifact.aio(write_files("first"), name="retried", type="dataset")
    used = await use_wandb_artifact.aio("retried:latest")
    if is_first:
        await log_wandb_artifact.aio(write_files("second"), name="retried", type="dataset")
        msg = "the first attempt's reason"
        raise ValueError(msg)
    again = await log_wandb_artifact.aio(write_files("first"), name="retried", type="dataset")
    return [str(again), read(await used.download())]


@wandb_init
@env.task
async def referring() -> Dir:
    """Its files are uploaded once."""
    for name in ("ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        os.environ["AWS_S3_ENDPOINT_URL" if name == "ENDPOINT" else f"AWS_{name}"] = os.environ[f"FLYTE_AWS_{name}"]
    data = await Dir.from_local(write_files("referred to"))
    ref = await log_wandb_artifact.aio(data.path, name="referred", type="dataset")
    used = await use_wandb_artifact.aio(ref)
    assert read(await used.download()) == "referred to"
    assert get_wandb_run(required=True).offline is False
    return data
