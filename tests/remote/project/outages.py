"""Tasks whose W&B server is unreachable, refuses them or accepts no data. Pods import this module."""

# ruff: noqa: T201 - each task runs in a separate process and prints its progress

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import flyte
import wandb
from flyteplugins.wandb import (
    download_wandb_run_logs,
    get_wandb_run,
    get_wandb_run_dir,
    wandb_config,
    wandb_init,
)

env = flyte.TaskEnvironment(name="outages")
secret_env = flyte.TaskEnvironment(name="outages_secret", secrets=flyte.Secret("wandb", as_env_var="WANDB_API_KEY"))


def log_rows(first: int = 0) -> str:
    """Log ten rows to the current run and return its id."""
    run = get_wandb_run()
    assert run is not None
    print("the body has started")
    for x in range(first, first + 10):
        run.log({"x": x})
    return str(run.id)


@wandb_init(on_unavailable="offline")
@env.task(retries=1)
async def tolerant() -> str:
    """Fails once."""
    attempt = flyte.ctx().attempt_number
    run_id = log_rows(first=10 * attempt)
    if attempt == 0:
        msg = "the first attempt's reason"
        raise ValueError(msg)
    return run_id


@wandb_init
@env.task
def blocking() -> str:
    return log_rows()


@wandb_init
@env.task
async def strict() -> str:
    return log_rows()


@wandb_init
@env.task
async def failing() -> str:
    log_rows()
    msg = "the body's own reason"
    raise ValueError(msg)


@wandb_init(mode="offline")
@env.task
async def sleeping() -> None:
    log_rows()
    print("asleep")
    await asyncio.sleep(600)


@wandb_init(mode="offline")
@env.task
async def offline() -> str:
    return log_rows()


@wandb_init(mode="offline")
@env.task
async def losing() -> str:
    """Its run leaves no data to upload."""
    run_id = log_rows()
    directory = Path(str(get_wandb_run_dir())).parent
    # In one step: the SDK may be writing to it.
    directory.rename(directory.with_name("moved"))
    return run_id


@wandb_init(mode="offline")
@env.task
async def copied() -> str:
    """Stores the directory of its run while that is open, too."""
    run_id = log_rows()
    await download_wandb_run_logs(run_id)
    return run_id


@wandb_init(run_mode="shared")
@env.task
async def sharing() -> str:
    return log_rows()


@wandb_init
@env.task
async def configuring_badly(entry: dict[str, str]) -> None:
    """Sets an invalid value in the body, when its run is open."""
    log_rows()
    with wandb_config(config=dict(entry)):
        print("not reached")


@wandb_init(run_mode="new", mode="offline")
@secret_env.task
async def keeping() -> str:
    return log_rows()


@wandb_init
@secret_env.task
async def careful(credential: str) -> str:
    """Prints every object that may contain a key, and fails with a refused credential."""
    logging.basicConfig(level=logging.DEBUG)
    run_id = log_rows()
    await keeping()
    with wandb_config(config={"password": credential}):
        print("not reached")
    return run_id


def log_artifacts() -> None:
    run = get_wandb_run(required=True)
    Path("model.txt").write_text("the model")
    Path("data.txt").write_text("the data")
    artifact = wandb.Artifact("model", "model")
    artifact.add_file("model.txt")
    artifact.add_file("data.txt", policy="immutable")
    run.log_artifact(artifact)
    run.log({"table": wandb.Table(columns=["x"], data=[[42]])})


def lose_working_directory() -> None:
    """Do as libraries that give each run a separate directory, and delete it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def wait_until_unreachable(url: str) -> None:
    server = urlsplit(url)
    with contextlib.suppress(OSError):
        while True:
            socket.create_connection((str(server.hostname), server.port or 80)).close()
            time.sleep(0.05)


@wandb_init(mode="offline", dir="relative")
@env.task
def logging_artifacts() -> str:
    log_artifacts()
    lose_working_directory()
    return log_rows()


@wandb_init(mode="offline")
@env.task(retries=1)
def retried_offline() -> str:
    """Fails once; its last attempt logs artifacts."""
    attempt = flyte.ctx().attempt_number
    name = Path(f"attempt-{attempt}.txt")
    name.write_text("contents")
    get_wandb_run(required=True).save(str(name.absolute()), base_path=str(name.absolute().parent))
    run_id = log_rows(first=10 * attempt)
    log_artifacts()
    if attempt == 0:
        msg = "the first attempt's reason"
        raise ValueError(msg)
    return run_id


@wandb_init(dir="relative")
@env.task
async def moving() -> str:
    lose_working_directory()
    return log_rows()


@wandb_init(on_unavailable="offline", finish_timeout=1)
@env.task
async def losing_wandb() -> str:
    """Its server goes away while it runs."""
    run = get_wandb_run(required=True)
    print("open", flush=True)
    wait_until_unreachable(run.settings.base_url)
    log_artifacts()
    return log_rows()
