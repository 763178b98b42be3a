"""Tasks whose run the body ends, or changes in each attempt. Pods import this module."""

from __future__ import annotations

import contextlib

import flyte
import flyte.errors
import wandb
from flyteplugins.wandb import get_wandb_run, wandb_init

env = flyte.TaskEnvironment(name="endings")


def log(value: str) -> str:
    """Log a row to the current run and return the run's id."""
    run = get_wandb_run(required=True)
    run.log({"x": value})
    return str(run.id)


@wandb_init
@env.task
def ending_plain() -> None:
    """Ends its run in two ways, and fails."""
    log("before")
    get_wandb_run(required=True).finish()
    log("after finish")
    wandb.init(project="other", reinit=True).finish()
    raise ValueError("the body's own")


@wandb_init
@env.task
async def joining() -> None:
    """Ends its part of the parent's run, and fails."""
    log("child")
    get_wandb_run(required=True).finish()
    log("child after finish")
    raise ValueError("the child's own")


@wandb_init
@env.task
async def ending_shared() -> None:
    """Ends the run that its child joins, and fails."""
    log("before")
    get_wandb_run(required=True).finish()
    with contextlib.suppress(flyte.errors.RuntimeUserError):
        await joining()
    log("after")
    raise ValueError("the body's own")


def change_and_fail_first() -> str:
    """Set values in the run's config and log two rows; fail in the first attempt."""
    attempt = flyte.ctx().attempt_number
    run = get_wandb_run(required=True)
    run.config["seed"] = attempt
    run.config.update({"nested": {"a": {"b": attempt}}, "layers": {1: attempt}})  # type: ignore[no-untyped-call]
    log(f"{attempt}")
    run_id = log(f"{attempt}")
    if attempt == 0:
        raise ValueError("not yet")
    return run_id


@wandb_init
@env.task(retries=1)
async def changing() -> str:
    return change_and_fail_first()


@wandb_init(fork_from="base?_step=2")
@env.task(retries=1)
def forking() -> str:
    return change_and_fail_first()
