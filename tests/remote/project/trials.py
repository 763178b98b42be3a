"""Trials as tasks, each in a separate pod. Pods import this module."""

# ruff: noqa: T201 - each task runs in a separate process and prints its progress

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import flyte
from flyteplugins.wandb import fan_out_sweep_trials, get_wandb_run, get_wandb_sweep_id, wandb_init, wandb_sweep

env = flyte.TaskEnvironment(name="trials")


def attempt() -> int:
    return int(os.environ["FLYTE_ATTEMPT_NUMBER"])


@wandb_init
@env.task(retries=1)
async def ending(case: int) -> None:
    """Ends as its case says."""
    run = get_wandb_run(required=True)
    assert run.config["case"] == case
    assert run.sweep_id == get_wandb_sweep_id()
    run.log({"loss": case})
    if case == 1 or (case == 2 and attempt() == 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if case == 3:
        msg = "this case fails"
        raise ValueError(msg)
    if case == 4 and attempt() == 0:
        msg = "the first attempt fails"
        raise ValueError(msg)


@wandb_init
@env.task
async def waiting(case: int, folder: str) -> None:
    """Ends when the test creates a file named like its case."""
    run = get_wandb_run(required=True)
    for step in range(4):
        run.log({"loss": case * 10 + step})
    print("trial runs", flush=True)
    while not (Path(folder) / str(case)).exists():  # noqa: ASYNC110 - another process creates it
        await asyncio.sleep(0.1)


@wandb_init
@env.task
def deciding(case: int, folder: str) -> None:
    """Fails if the file named like its run, which the test creates, says so."""
    file = Path(folder, get_wandb_run(required=True).id)
    print(f"trial {case} runs", flush=True)
    while not file.exists():
        time.sleep(0.1)
    if file.read_text() == "fail":
        msg = "the file says so"
        raise ValueError(msg)


@wandb_init
@wandb_sweep
@env.task(retries=1)
async def search(task: str, max_parallel: int) -> dict[str, str]:
    result = await fan_out_sweep_trials(globals()[task], max_parallel=max_parallel)
    errors = {trial.agent: trial.error for trial in result.trials if trial.error}
    runs = json.dumps({trial.agent: trial.id for trial in result.trials})
    return {"state": result.state, "counts": str(result.counts), "errors": str(sorted(errors.items())), "runs": runs}
