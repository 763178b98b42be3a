"""Distributed tasks: each runs in several processes at once. Pods import this module."""

# ruff: noqa: T201 - the tests read what the ranks print

import asyncio
import os
import time
from pathlib import Path

import flyte
import wandb
from flyte.clustered import ClusteredTaskEnvironment, JaxRun
from flyteplugins.wandb import get_distributed_info, get_wandb_run, get_wandb_run_dir, wandb_init

env = flyte.TaskEnvironment(name="ranks")
square = ClusteredTaskEnvironment(name="square", replicas=2, nproc_per_node=2)
pair = ClusteredTaskEnvironment(name="pair", replicas=1, nproc_per_node=2)
jax = ClusteredTaskEnvironment(name="jax", replicas=2, nproc_per_node=1, runtime=JaxRun())


@wandb_init
def helper() -> str:
    """A plain function: on a rank that does not log it must not open a run."""
    run = get_wandb_run()
    return run.id if run else "no run"


@wandb_init(run_mode="new")
@env.task
async def called_as_function() -> bool:
    return get_wandb_run() is None


def rank() -> int:
    info = get_distributed_info()
    assert info is not None
    return info["rank"]


def meet(folder: str, place: str) -> None:
    """Waits for all ranks, as a barrier does."""
    info = get_distributed_info()
    assert info is not None
    Path(folder, f"{place}-{info['rank']}").touch()
    while len(list(Path(folder).glob(f"{place}-*"))) < info["world_size"]:
        time.sleep(0.02)


@wandb_init(run_mode="shared", rank_scope="worker", config={"lr": 0.1}, tags=["distributed"])
@square.task
def train(folder: str) -> int:
    """Every rank that has a run logs to it; they end together."""
    run = get_wandb_run()
    meet(folder, "start")
    if run is not None:
        assert wandb.run is run
        assert helper() == run.id
        for step in range(3):
            run.log({"rank": rank(), "value": step})
        run.summary[f"summary of {rank()}"] = 1
        print(f"line of rank {rank()}")
    meet(folder, "end")
    return 7


@wandb_init
@pair.task
async def restarted(folder: str) -> int:
    """Rank 1 fails in the first launch, when rank 0 has logged; rank 0 then waits to be stopped."""
    launch = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    run = get_wandb_run()
    if run is None:
        assert (rank(), wandb.run, get_wandb_run_dir(), helper()) == (1, None, None, "no run")
        assert await called_as_function.forward()
    else:
        assert rank() == 0
        run.log({"launch": launch})
    meet(folder, f"logged-{launch}")
    if launch == 0:
        if rank() == 1:
            msg = "rank 1 fails"
            raise RuntimeError(msg)
        await asyncio.sleep(600)
    return launch


@wandb_init
@jax.task
def failing(folder: str) -> None:
    """Rank 1 fails, and rank 0 waits to be stopped for that."""
    run = get_wandb_run()
    assert run is not None
    run.log({"rank": rank()})
    meet(folder, "logged")
    if rank() == 1:
        msg = "rank 1 fails"
        raise RuntimeError(msg)
    time.sleep(600)
