"""A distributed training that logs. Pods import this module."""

# ruff: noqa: T201 - the tests read what the ranks print

import os
import time

import flyte
import torch
import torch.distributed as dist
import wandb
from flyteplugins.pytorch import Elastic
from flyteplugins.wandb import get_distributed_info, get_wandb_run, wandb_init

env = flyte.TaskEnvironment(
    name="elastic", plugin_config=Elastic(nnodes=1, nproc_per_node=2, max_restarts=1, monitor_interval=1)
)


@wandb_init
@env.task
def train(failing: int = 0) -> float:
    """Logs the sum over both ranks; in the first `failing` launches rank 1 fails after that."""
    dist.init_process_group("gloo")
    info = get_distributed_info()
    assert info is not None
    assert (info["world_size"], info["num_workers"], info["rank"]) == (2, 1, dist.get_rank())
    launch = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    run = get_wandb_run()
    print(f"rank {info['rank']} of launch {launch}: {run.id if run else None}")
    loss = torch.zeros(1)
    for step in range(3):
        loss[0] = step + info["rank"]
        dist.all_reduce(loss)
        if run is not None:
            assert wandb.run is run
            run.log({"loss": loss.item(), "rank": info["rank"], "launch": launch})
    if launch < failing:
        # Every rank has logged by now; the failure takes both ranks down.
        dist.barrier()
        if info["rank"] == 1:
            msg = f"rank 1 of launch {launch}"
            raise RuntimeError(msg)
        time.sleep(600)
    dist.barrier()
    dist.destroy_process_group()
    return float(loss.item())


@wandb_init
@env.task
def endless() -> None:
    """Trains until it is stopped."""
    run = get_wandb_run()
    if run is not None:
        run.log({"loss": 1})
        print("training")
    time.sleep(600)
