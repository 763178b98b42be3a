"""A task whose Flyte report shows its run and its sweep. Pods import this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flyte
import wandb
from flyteplugins.wandb import get_wandb_run, get_wandb_sweep_id, wandb_init, wandb_sweep

if TYPE_CHECKING:
    from flyte.remote import Run

HOSTILE = "<img src=x onerror=alert(1)>"

env = flyte.TaskEnvironment(name="reporting")


@wandb_init
def objective() -> None:
    run = get_wandb_run(required=True)
    run.log({"loss": 1 / run.config["layers"]})


@wandb_init(config={HOSTILE: HOSTILE})
@wandb_sweep
@env.task(report=True)
async def reporting() -> None:
    run = get_wandb_run(required=True)
    for step in range(20):
        run.log({HOSTILE: step, "accuracy": 1 - 1 / (step + 1)})
    sweep_id = get_wandb_sweep_id()
    assert sweep_id is not None
    wandb.agent(sweep_id, function=objective, count=2)


def read_report(run: Run) -> str:
    """Return the report as the console gets it; in the driver."""
    run.wait(quiet=True)
    return str(run.get_report())
