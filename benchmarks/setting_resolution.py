"""Time that a decorated call takes to resolve its settings: decorator, context and environment.

    hatch run bench:run benchmarks/setting_resolution.py [--calls N] [--rounds N]

The task runs in Flyte's local mode; its settings come from a decorator and from `wandb_config`, some from both. The
baseline is the least work possible: decode the same settings and merge them, without validation. The goal limits our
own time, in microseconds of CPU: at this size, wall-clock time would measure other processes too.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import flyte
from figures import report
from flyteplugins.wandb import wandb_config, wandb_init
from paired import Rounds, arguments, in_turns
from wandb_runtime.lifecycle.session import plan_call
from wandb_runtime.tasks.decorating import RUN_MARKER, Call, decoration_of

env = flyte.TaskEnvironment(name="setting_resolution")

CONTEXT = wandb_config(project="vision", entity="team", tags=["nightly"], config={"data": "digits", "seed": 1})
OWN: dict[str, Any] = {"name": "baseline", "group": "ablation", "tags": ["sgd"], "config": {"lr": 0.1, "layers": [64]}}
CARRIED = wandb_config(**OWN)


def decoded(carried: dict[str, str]) -> dict[str, Any]:
    return {key: json.loads(value) if value[0] in "[{" else value for key, value in carried.items()}


def merge_by_hand() -> dict[str, Any]:
    """Decodes and merges the same settings."""
    outer, inner = decoded(flyte.get_custom_context()), decoded(CARRIED)
    both = {**outer, **inner}
    both["wandb_tags"] = outer["wandb_tags"] + inner["wandb_tags"]
    both["wandb_config"] = {**outer["wandb_config"], **inner["wandb_config"]}
    both.setdefault("wandb_job_type", os.environ.get("WANDB_JOB_TYPE"))
    return both


@env.task
async def measure(calls: int, rounds: int) -> list[list[float]]:
    wrapper = decorated.func
    decoration = decoration_of(wrapper, RUN_MARKER)
    assert decoration is not None
    ours = repeated(lambda: plan_call(decoration, Call(wrapper)), calls)
    measured = in_turns("setting resolution", ours, repeated(merge_by_hand, calls), rounds)
    return [measured.ours, measured.baseline]


@wandb_init(run_mode="new", **OWN)
@env.task
async def decorated() -> None:
    """Is planned, and never called."""


def repeated(call: Callable[[], object], calls: int) -> Callable[[], float]:
    """The time of one of many calls."""

    def timed() -> float:
        started = time.thread_time()
        for _ in range(calls):
            call()
        return (time.thread_time() - started) / calls

    return timed


def main() -> int:
    sizes = arguments(__doc__, goal=50.0, calls=500, rounds=31)
    flyte.init()
    in_context = flyte.with_runcontext(mode="local", custom_context=CONTEXT)
    run = in_context.run(measure, calls=sizes.calls, rounds=sizes.rounds)
    measured = Rounds("setting resolution", *run.outputs()[0])
    return report([measured.figure("µs", scale=1e6, goal=sizes.goal, goal_for="value")], sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
