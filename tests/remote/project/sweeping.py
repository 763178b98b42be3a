"""Tasks that create sweeps, and agents of the SDK. Pods import this module."""

# ruff: noqa: T201 - each task runs in a separate process and prints its progress

from __future__ import annotations

import asyncio
import os
import time

import flyte
import wandb
from flyteplugins.wandb import (
    get_wandb_context,
    get_wandb_run,
    get_wandb_sweep_id,
    wandb_init,
    wandb_sweep,
)

env = flyte.TaskEnvironment(name="sweeps")


@wandb_init
async def objective() -> None:
    run = wandb.run
    assert run is not None
    assert run is get_wandb_run()
    await asyncio.sleep(0)
    run.log({"loss": run.config["lr"], "sweep": get_wandb_sweep_id()})


@wandb_init
def objective_sync() -> None:
    run = get_wandb_run()
    assert run is not None
    run.log({"loss": run.config["lr"], "sweep": get_wandb_sweep_id()})
    msg = "a trial that fails"
    raise ValueError(msg)


@wandb_sweep
@env.task
async def agent(agent_id: int, sweep_id: str, count: int = 5) -> int:
    wandb.agent(sweep_id, function=objective, count=count, project=get_wandb_context().project)
    return agent_id


@wandb_sweep
@wandb_init(project="runs")
@env.task
def agent_sync(agent_id: int, sweep_id: str, count: int = 5) -> int:
    run = get_wandb_run()
    assert run is not None
    wandb.agent(sweep_id, function=objective_sync, count=count, project=get_wandb_context().project)
    run.log({"after": agent_id})
    return agent_id


def attempt() -> int:
    return int(os.environ["FLYTE_ATTEMPT_NUMBER"])


@wandb_sweep
@env.task(retries=1)
async def controller() -> str:
    """The first attempt dies just after the sweep was created."""
    sweep_id = get_wandb_sweep_id()
    assert sweep_id is not None
    if attempt() == 0:
        os._exit(9)
    await asyncio.gather(agent(agent_id=1, sweep_id=sweep_id, count=1), agent_sync.aio(2, sweep_id, 1))
    assert not {"WANDB_PROJECT", "WANDB_ENTITY"} & os.environ.keys()
    return sweep_id


@wandb_sweep
@env.task(retries=1)
def evicted() -> str:
    """The first attempt waits to be stopped."""
    print("created", flush=True)
    while attempt() == 0:
        time.sleep(0.1)
    return str(get_wandb_sweep_id())


@wandb_init
def waiting_objective() -> None:
    run = get_wandb_run()
    assert run is not None
    run.log({"row": 1})
    print("in the trial", flush=True)
    while True:
        time.sleep(0.1)


@wandb_sweep
@env.task
async def working_itself() -> None:
    wandb.agent(str(get_wandb_sweep_id()), function=waiting_objective)


@wandb_sweep
@env.task
def working_itself_sync() -> None:
    wandb.agent(str(get_wandb_sweep_id()), function=waiting_objective)


def waiting_undecorated() -> None:
    run = wandb.init()
    run.log({"row": 1})
    print("in the trial", flush=True)
    while True:
        time.sleep(0.1)


@wandb_sweep
@env.task
async def working_undecorated() -> None:
    wandb.agent(str(get_wandb_sweep_id()), function=waiting_undecorated)


@wandb_sweep
@env.task
def working_undecorated_sync() -> None:
    wandb.agent(str(get_wandb_sweep_id()), function=waiting_undecorated)


@wandb_sweep
@env.task
async def exiting() -> None:
    raise SystemExit(3)
