"""Trials as tasks: overhead of a trial in local mode, against calling the same task by hand.

    hatch run bench:run benchmarks/sweep_trials.py [--trials N] [--rounds N] [--goal S]

The time from the start of the fan-out to its end, by the trials; reading the result is in it. The baseline calls the
task with the same parameters, one after the other, and opens the same number of runs.
"""

import time
from typing import Any

import flyte
from figures import report
from flyteplugins.wandb import (
    fan_out_sweep_trials,
    get_wandb_run,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from paired import arguments, in_turns, logging_to_devserver

env = flyte.TaskEnvironment(name="sweep_trials")


@wandb_init
@env.task
async def train(lr: int) -> None:
    get_wandb_run(required=True).log({"loss": lr})


@wandb_sweep
@env.task
async def search(trials: int) -> float:
    started = time.perf_counter()
    result = await fan_out_sweep_trials(train, num_trials=trials, max_parallel=1)
    assert result.counts == {"finished": trials}, result
    return time.perf_counter() - started


@env.task
async def by_hand(trials: int) -> float:
    started = time.perf_counter()
    for lr in range(trials):
        await train(lr)
    return time.perf_counter() - started


def main() -> int:
    sizes = arguments(__doc__, goal=0.5, trials=8, rounds=3)
    parameters = {"lr": {"values": list(range(sizes.trials))}}
    context: dict[str, Any] = {
        **wandb_config(project="bench"),
        **wandb_sweep_config(method="grid", parameters=parameters),
    }

    def seconds(task: Any) -> float:
        run = flyte.with_runcontext(mode="local", custom_context=context).run(task, trials=sizes.trials)
        return float(run.outputs()[0] / sizes.trials)

    flyte.init()
    with logging_to_devserver():
        measured = in_turns(
            "a trial, against a call of its task", lambda: seconds(search), lambda: seconds(by_hand), sizes.rounds
        )
    return report([measured.figure("s", goal=sizes.goal, goal_for="difference")], sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
