"""Overhead of @wandb_init: a task that logs 1,000 rows in about 2 s, against one that calls wandb.init itself.

    hatch run bench:run benchmarks/decorator_overhead.py [--rows N] [--seconds S] [--rounds N]

The figure is the time of the whole Flyte run in local mode, for a sync and for an async task; the SDK's service
process is warm.
Equal on both sides: the body, the project, `reinit="create_new"`, no console capture (the decorator's default in local
mode), the server. Not equal, so part of what is measured: the decorator's deterministic id with `resume="allow"`, the
defaults of group and job type, `flyte` in the config, closing in a thread, and whatever it checks after closing.
"""

import asyncio
import time
from typing import Any

import flyte
import wandb
from figures import report
from flyteplugins.wandb import get_wandb_run, wandb_init
from paired import arguments, in_turns, logging_to_devserver

env = flyte.TaskEnvironment(name="decorator_overhead")


def row(step: int) -> dict[str, float]:
    return {"loss": 1 / (step + 1), "accuracy": step / 1000, "lr": 0.1, "epoch": step // 100}


def train(run: wandb.Run | None, rows: int, pause: float) -> int:
    assert run is not None
    for step in range(rows):
        run.log(row(step))
        time.sleep(pause)
    return run.step


async def train_async(run: wandb.Run | None, rows: int, pause: float) -> int:
    assert run is not None
    for step in range(rows):
        run.log(row(step))
        await asyncio.sleep(pause)
    return run.step


def open_run() -> wandb.Run:
    return wandb.init(reinit="create_new", settings=wandb.Settings(console="off"))


@wandb_init
@env.task
def decorated(rows: int, pause: float) -> int:
    return train(get_wandb_run(), rows, pause)


@env.task
def by_hand(rows: int, pause: float) -> int:
    with open_run() as run:
        return train(run, rows, pause)


@wandb_init
@env.task
async def decorated_async(rows: int, pause: float) -> int:
    return await train_async(get_wandb_run(), rows, pause)


@env.task
async def by_hand_async(rows: int, pause: float) -> int:
    with open_run() as run:
        return await train_async(run, rows, pause)


def main() -> int:
    sizes = arguments(__doc__, goal=1.05, rows=1000, seconds=2.0, rounds=3)

    def run(task: Any) -> float:
        started = time.perf_counter()
        result = flyte.with_runcontext(mode="local").run(task, rows=sizes.rows, pause=sizes.seconds / sizes.rows)
        taken = time.perf_counter() - started
        assert result.outputs()[0] == sizes.rows
        return taken

    figures = []
    flyte.init()
    with logging_to_devserver():
        for kind, ours, baseline in (("sync", decorated, by_hand), ("async", decorated_async, by_hand_async)):
            what = f"{kind} task, decorated against by hand"
            measured = in_turns(what, lambda: run(ours), lambda: run(baseline), sizes.rounds)  # noqa: B023
            figures.append(measured.figure("s", goal=sizes.goal))
    return report(figures, sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
