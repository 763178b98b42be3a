"""Eight parallel children with `run_mode="new"`, against eight undecorated ones that call the SDK in threads.

    hatch run bench:run benchmarks/parallel_children.py [--children N] [--rows N] [--rounds N]

The figure is the time of the parent's whole Flyte run in local mode; the SDK's service process is warm. The body only
logs, so nearly all of the time is opening and closing. Equal on both sides: the undecorated parent, the body, the
project, `reinit="create_new"`, no console capture, the server. Not equal: what benchmarks/decorator_overhead.py names.
"""

import asyncio
import time
from typing import Any

import flyte
import wandb
from figures import report
from flyteplugins.wandb import get_wandb_run, wandb_init
from paired import arguments, in_turns, logging_to_devserver

env = flyte.TaskEnvironment(name="parallel_children")


def log(run: wandb.Run | None, number: int, rows: int) -> int:
    assert run is not None
    for step in range(rows):
        run.log({"loss": number / (step + 1)})
    return run.step


@wandb_init(run_mode="new")
@env.task
async def decorated(number: int, rows: int) -> int:
    return log(get_wandb_run(), number, rows)


@env.task
async def by_hand(number: int, rows: int) -> int:
    settings = wandb.Settings(console="off")
    run = await asyncio.to_thread(wandb.init, reinit="create_new", settings=settings)
    logged = log(run, number, rows)
    await asyncio.to_thread(run.finish)
    return logged


@env.task
async def parent_of_decorated(children: int, rows: int) -> int:
    return sum(await asyncio.gather(*(decorated(number, rows) for number in range(children))))


@env.task
async def parent_of_by_hand(children: int, rows: int) -> int:
    return sum(await asyncio.gather(*(by_hand(number, rows) for number in range(children))))


def main() -> int:
    sizes = arguments(__doc__, goal=1.2, children=8, rows=20, rounds=5)

    def run(parent: Any) -> float:
        started = time.perf_counter()
        result = flyte.with_runcontext(mode="local").run(parent, children=sizes.children, rows=sizes.rows)
        taken = time.perf_counter() - started
        assert result.outputs()[0] == sizes.children * sizes.rows
        return taken

    flyte.init()
    with logging_to_devserver():
        measured = in_turns(
            f"{sizes.children} children, decorated against by hand",
            lambda: run(parent_of_decorated),
            lambda: run(parent_of_by_hand),
            sizes.rounds,
        )
    return report([measured.figure("s", goal=sizes.goal)], sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
