"""Sweep agents, each in a separate pod. Pods import this module."""

# ruff: noqa: T201 - each task runs in a separate process and prints its progress

from __future__ import annotations

import os
import time

import flyte
from flyteplugins.wandb import fan_out_sweep_agents, get_wandb_run, sweep_agent, wandb_init, wandb_sweep

env = flyte.TaskEnvironment(name="agents")


@sweep_agent(env, retries=1)
@wandb_init
def waiting_at_first() -> None:
    """Its first trial ends with the pod that runs it."""
    run = get_wandb_run()
    assert run is not None
    run.log({"loss": run.config["lr"]})
    print(f"trial {run.id} runs", flush=True)
    if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        time.sleep(600)


@wandb_sweep
@env.task
async def controller() -> dict[str, str]:
    result = await fan_out_sweep_agents(waiting_at_first, num_agents=1)
    assert result.best is not None
    return {"state": result.state, "errors": str(result.errors), "best": str(result.best.summary)}


@env.task
async def counting(agent_id: int, sweep_id: str, count: int = 1) -> int:
    """Does not use W&B: the test checks how agents are started."""
    return agent_id * count


@wandb_sweep
@env.task
async def queueing(agents: int, max_parallel: int) -> str:
    result = await fan_out_sweep_agents(counting, num_agents=agents, max_parallel=max_parallel, group="fleet")
    return result.state
