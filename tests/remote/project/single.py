"""Tasks that each open a run. Pods import this module."""

# ruff: noqa: T201 - each task runs in a separate process and prints its progress

from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import flyte
import wandb
from flyte.remote import Run
from flyteplugins.wandb import get_wandb_run, get_wandb_run_dir, wandb_init

F = TypeVar("F", bound=Callable[..., Any])

env = flyte.TaskEnvironment(name="single")


def log(**values: Any) -> str:
    """Log to the current run and return its id."""
    run = get_wandb_run()
    assert run is not None
    run.log(values)
    return str(run.id)


@wandb_init(config={"lr": 0.1}, tags=["single"], notes="a note")
@env.task
async def training(epochs: int) -> dict[str, str]:
    """Uses features that shared mode lacks (steps and `run.step`), and `wandb.run` as libraries do."""
    run = get_wandb_run()
    assert run is not None
    assert wandb.run is run
    for epoch in range(epochs):
        run.log({"loss": 1 / (epoch + 1)}, step=10 * epoch)
    wandb.log({"accuracy": 0.9}, step=100)
    artifact = wandb.Artifact("model", type="model")
    with artifact.new_file("model.txt") as file:
        file.write("weights")
    run.log_artifact(artifact).wait()
    print("trained")
    return {"step": str(run.step), "mode": str(run.settings.mode), "files": str(get_wandb_run_dir())}


@wandb_init
@env.task
def blocking(value: int) -> str:
    assert wandb.run is get_wandb_run()
    return log(value=value)


@wandb_init
@env.task
async def simple(value: int) -> str:
    return log(value=value)


def noting(function: F) -> F:
    """A decorator of a function."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        log(before=1)
        return await function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def noting_task(task: F) -> F:
    """A task whose run is open before the body of this decorator starts."""
    task.func = noting(task.func)  # type: ignore[attr-defined]
    return task


@wandb_init
@noting_task
@env.task
@noting
async def stacked(value: int) -> str:
    return log(value=value)


@wandb_init
@env.task(cache=flyte.Cache("override", version_override="1"))
async def remembered(value: int) -> str:
    return log(value=value)


@env.task
async def calling_in_all_ways() -> dict[str, list[str]]:
    """Not decorated itself: each of the tasks opens a run."""
    by_aio, overridden, under_another, cached = await asyncio.gather(
        blocking.aio(1),
        simple.override(short_name="renamed")(2),
        stacked(3),
        remembered(4),
    )
    mapped = [str(result) async for result in flyte.map.aio(simple, [5, 6])]
    assert get_wandb_run() is None
    return {
        "aio": [by_aio],
        "override": [overridden],
        "stacked": [under_another],
        "cached": [cached, await remembered(4)],
        "map": mapped,
        "forward": [await simple.forward(7)],
    }


def deploy(run: Run) -> dict[str, list[str]]:
    """Deploy this module's tasks and return the links of each; in the driver."""
    run.wait(quiet=True)
    (deployment,) = flyte.deploy(env)
    deployed = deployment.envs[env.name].deployed_entities  # type: ignore[attr-defined]  # it has tasks
    templates = [task.deployed_task.task_template for task in deployed]
    return {template.id.name: [link.uri for link in template.metadata.log_links] for template in templates}


@env.task(cache="auto")
async def hashed(value: int) -> int:
    return value


if os.environ.get("DECORATED"):
    hashed = wandb_init(hashed)


@env.task
async def calling_hashed() -> int:
    return await hashed(1)


@wandb_init
@env.task
def raising_sync() -> None:
    log(value=1)
    raise ValueError("the body's own")


@wandb_init
@env.task
async def exiting() -> None:
    log(value=1)
    sys.exit(3)


@wandb_init
@env.task
def exiting_sync() -> None:
    log(value=1)
    sys.exit(3)


@wandb_init(finish_timeout=1)
@env.task
async def raising_in_an_outage() -> None:
    log(value=1)
    raise ValueError("the body's own")


def attempt() -> int:
    """Return the attempt number in the run's config."""
    run = get_wandb_run()
    assert run is not None
    return int(run.config["flyte"]["attempt"])


@wandb_init
@env.task(retries=2)
async def recovering() -> str:
    run_id = log(attempt=attempt())
    if flyte.ctx().attempt_number < 2:
        raise RuntimeError("not yet")
    return run_id


def log_steadily() -> None:
    """Log ten rows a second for ten minutes, after printing how often they are sent."""
    run = get_wandb_run()
    assert run is not None
    settings = run.settings
    print(f"intervals {settings.x_file_stream_transmit_interval:.0f} {settings.x_transaction_log_flush_interval:.0f}")
    for row in range(6000):
        log(row=row, attempt=attempt())
        print(f"row {row} ")
        time.sleep(0.1)


@wandb_init
@env.task(retries=1)
async def killed() -> str:
    """Logs until it is killed, and continues in its second attempt."""
    if flyte.ctx().attempt_number == 0:
        await asyncio.to_thread(log_steadily)
    return log(row=-1, attempt=attempt())


@wandb_init(settings={"x_file_stream_transmit_interval": 7})
@env.task
async def intervals() -> list[float]:
    """Return the effective settings: `WANDB__TRANSACTION_LOG_FLUSH_INTERVAL` is also one of the user's."""
    run = get_wandb_run()
    assert run is not None
    settings = run.settings
    return [float(settings.x_file_stream_transmit_interval or 0), settings.x_transaction_log_flush_interval]


@wandb_init
@env.task
async def mode() -> str:
    run = get_wandb_run()
    assert run is not None
    return str(run.settings.mode)


@wandb_init(run_mode="shared")
@env.task
async def sharing_without_parent() -> str:
    print("the body runs")
    return ""


@wandb_init
@env.task
async def misconfigured() -> str:
    print("the body runs")
    return ""


@env.task
@wandb_init
async def misplaced() -> str:
    print("the body runs")
    return ""
