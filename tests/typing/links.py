"""Links of tasks. Never executed: read by mypy, see tests/install/test_consumers.py."""

import flyte
from flyteplugins.wandb import Wandb, WandbSweep

env = flyte.TaskEnvironment(name="typing")

run_link: flyte.Link = Wandb()
sweep_link: flyte.Link = WandbSweep(host="h", project="p", entity="e", id="i", name="n")
links: tuple[flyte.Link, ...] = (run_link, sweep_link)


@env.task(links=(Wandb("h", "p", "e", "new", "i", "n", "worker"), WandbSweep()))
async def task() -> None: ...


task.override(links=(Wandb(project="p"),))

Wandb(project=1)  # type: ignore[arg-type]
Wandb(run_mode="sometimes")  # type: ignore[arg-type]
Wandb(rank_scope="node")  # type: ignore[arg-type]
Wandb(projekt="p")  # type: ignore[call-arg]
WandbSweep(id=1)  # type: ignore[arg-type]
WandbSweep(run_mode="new")  # type: ignore[call-arg]
