"""Sweep agents: overhead of a trial beside its objective, against `wandb.agent`; and the gain of parallel agents.

    hatch run bench:run benchmarks/sweep_agents.py [--agents N] [--trials N] [--seconds S] [--rounds N] [--sdk_trials N]
                                                   [--parallel N] [--sleep S] [--times_less G] [--speedup G]

Overhead is the time from the start of the fan-out to its end, less the sleep, by the trials of one agent; starting the
agents and reading the results is in it. The baseline is `wandb.agent` in a separate process, without the start of
its interpreter. Equal on both sides: the objective, the grid, the server. Then 1 agent and `--parallel` agents run the
same trials of `--sleep` seconds.
"""

import json
import subprocess
import sys
import time
from typing import Any

import flyte
import wandb
from figures import Figure, report
from flyteplugins.wandb import (
    SweepResult,
    fan_out_sweep_agents,
    get_wandb_run,
    sweep_agent,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from paired import Rounds, arguments, in_turns, logging_to_devserver

env = flyte.TaskEnvironment(name="sweep_agents")

BY_SDK = """
import json, sys, time, wandb

seconds, count = float(sys.argv[1]), int(sys.argv[2])

def objective():
    with wandb.init() as run:
        time.sleep(seconds)
        run.log({"loss": run.config["lr"]})

grid = {"method": "grid", "parameters": {"lr": {"values": list(range(count))}}}
sweep = wandb.sweep(grid)
started = time.perf_counter()
wandb.agent(sweep, function=objective, count=count)
print("taken", json.dumps(time.perf_counter() - started))
"""


@sweep_agent(env)
@wandb_init
def objective() -> None:
    run = get_wandb_run()
    assert run is not None
    time.sleep(run.config["seconds"])
    run.log({"loss": run.config["lr"]})


@wandb_sweep
@env.task
async def search(agents: int, trials: int) -> tuple[float, SweepResult]:
    started = time.perf_counter()
    result = await fan_out_sweep_agents(objective, num_agents=agents, trials_per_agent=trials)
    return time.perf_counter() - started, result


def by_ours(agents: int, trials: int, seconds: float) -> float:
    """Seconds that the fan-out takes."""
    sweep = wandb_sweep_config(
        method="grid",
        metric={"name": "loss", "goal": "minimize"},
        parameters={"lr": {"values": list(range(agents * trials))}, "seconds": {"value": seconds}},
    )
    context: dict[str, Any] = {**wandb_config(project="bench"), **sweep}
    run = flyte.with_runcontext(mode="local", custom_context=context).run(search, agents=agents, trials=trials)
    taken, result = run.outputs()
    assert result.counts == {"finished": agents * trials}, result
    return float(taken)


def by_sdk(trials: int, seconds: float) -> float:
    """Seconds that `wandb.agent` takes."""
    command = [sys.executable, "-c", BY_SDK, str(seconds), str(trials)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.rpartition("taken ")[2]))


def main() -> int:
    sizes = arguments(
        __doc__,
        goal=0.8,
        agents=2,
        trials=6,
        seconds=0.2,
        rounds=1,
        parallel=4,
        sleep=2.0,
        speedup=3.0,
        times_less=5.0,
        sdk_trials=6,
    )

    def ours() -> float:
        return float(by_ours(sizes.agents, sizes.trials, sizes.seconds) / sizes.trials - sizes.seconds)

    def baseline() -> float:
        return float(by_sdk(sizes.sdk_trials, sizes.seconds) / sizes.sdk_trials - sizes.seconds)

    flyte.init()
    with logging_to_devserver():
        measured = in_turns(
            f"overhead of a trial, {sizes.agents} agents, against wandb.agent", ours, baseline, sizes.rounds
        )
        trials = sizes.parallel * 2
        alone = by_ours(1, trials, sizes.sleep)
        together = by_ours(sizes.parallel, 2, sizes.sleep)
        wandb.teardown()
    speedup = f"{trials} trials of {sizes.sleep:g} s, {sizes.parallel} agents against 1"
    overhead = measured.figure("s", goal=1 / sizes.times_less)
    figures = [
        overhead,
        Figure("overhead of a trial", overhead.value, "s", goal=sizes.goal),
        Rounds(speedup, [together], [alone]).figure("s", goal=1 / sizes.speedup),
    ]
    return report(figures, sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
