"""Trials as tasks are typed. Never executed: read by mypy, see tests/install/test_consumers.py."""

import flyte
from flyteplugins.wandb import SweepResult, SweepTrial, TrialTask, fan_out_sweep_trials, wandb_init
from typing_extensions import assert_type

env = flyte.TaskEnvironment(name="typing")


@wandb_init
@env.task
async def train(lr: float) -> float:
    return lr


@wandb_init
@env.task
def whole(trial: SweepTrial) -> None:
    assert_type(trial.number, int)
    assert_type(trial.run_id, str)


def function(lr: float) -> float:
    return lr


async def search() -> None:
    task: TrialTask = train
    assert_type(await fan_out_sweep_trials(task), SweepResult)
    await fan_out_sweep_trials(train, num_trials=3, max_parallel=2, max_failures=1, sweep_id="e/p/s")
    await fan_out_sweep_trials(whole, project="p", entity="e")
    await fan_out_sweep_trials(function)  # type: ignore[arg-type]
    await fan_out_sweep_trials(train, 3)  # type: ignore[call-arg]
