"""Tasks whose W&B runs and sweeps are downloaded. Pods import this module."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import flyte
import wandb
from flyte.io import Dir
from flyteplugins.wandb import (
    download_wandb_run_dir,
    download_wandb_run_logs,
    download_wandb_sweep_dirs,
    download_wandb_sweep_logs,
    get_wandb_run,
    get_wandb_sweep_id,
    wandb_init,
    wandb_sweep,
)

env = flyte.TaskEnvironment(name="downloads")


def attempt() -> int:
    return int(os.environ["FLYTE_ATTEMPT_NUMBER"])


def log_rows(first: int = 0) -> str:
    """Log three rows to the current run, and a file unless it is joined; return its id."""
    run = get_wandb_run()
    assert run is not None
    for x in range(first, first + 3):
        run.log({"x": x})
    if first < 100:
        # With several writers of one run, the last one would win.
        (Path(run.dir) / "notes.txt").write_text(f"from {first}")
        run.save("notes.txt", policy="now")
    return str(run.id)


@wandb_init
@env.task
async def joining() -> str:
    return log_rows(100)


@wandb_init(run_mode="new")
@env.task
def failing_sync() -> str:
    log_rows()
    msg = "the body's own reason"
    raise ValueError(msg)


@wandb_init
@env.task(retries=1)
async def retried() -> tuple[str, Dir]:
    """The first attempt downloads the logs of a child and fails; then its own logs are downloaded."""
    run_id = log_rows(10 * attempt())
    await joining()
    other = None
    try:
        await failing_sync.aio()
    except flyte.errors.RuntimeUserError as error:
        other = error
    assert other is not None
    logs = await download_wandb_run_logs(run_id)
    if attempt() == 0:
        msg = "the first attempt's reason"
        raise ValueError(msg)
    return run_id, logs


@wandb_init(download_logs=True)
@env.task
async def undownloadable() -> str:
    return log_rows()


@wandb_init(download_logs=True)
@env.task
def undownloadable_sync() -> str:
    return log_rows()


@wandb_init(download_logs=True, mode="offline")
@env.task
async def offline() -> str:
    return log_rows()


@wandb_init
def objective() -> None:
    log_rows()


@wandb_sweep
@env.task
async def agent(sweep_id: str) -> None:
    wandb.agent(sweep_id, function=objective)


@wandb_sweep(download_logs=True)
@env.task
async def searching() -> tuple[Dir, list[str]]:
    """Its trials run in another pod."""
    sweep_id = str(get_wandb_sweep_id())
    await agent(sweep_id)
    folders = await asyncio.to_thread(download_wandb_sweep_dirs)
    run_folder = await asyncio.to_thread(download_wandb_run_dir, Path(folders[0]).name)
    assert run_folder == folders[0]
    return await download_wandb_sweep_logs(sweep_id), names_in(folders)


def names_in(folders: list[str]) -> list[str]:
    return [path.name for folder in folders for path in Path(folder).iterdir()]


@wandb_init(download_logs=True)
@env.task
async def stopped() -> None:
    log_rows()


@wandb_init(download_logs=True)
@env.task
def stopped_sync() -> None:
    log_rows()
