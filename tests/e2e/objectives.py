"""Objectives of every kind, which trials import by name; so this module imports little."""

import asyncio

import wandb
from flyteplugins.wandb import get_wandb_run, wandb_init


@wandb_init
async def decorated_async() -> None:
    run = get_wandb_run()
    assert run is not None
    await asyncio.sleep(0)
    run.log({"loss": 1})


def calling_init() -> None:
    run = wandb.init()
    run.log({"loss": 2})


async def calling_init_async() -> None:
    with wandb.init() as run:
        await asyncio.sleep(0)
        run.log({"loss": 3})
