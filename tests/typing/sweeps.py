"""Decorated tasks with sweeps keep their types. Never executed: read by mypy, see tests/install/test_consumers.py."""

import flyte
from flyteplugins.wandb import (
    AgentBusyError,
    NoSweepConfigError,
    SweepConfigError,
    SweepCreateError,
    SweepNotFoundError,
    WandbPluginError,
    get_wandb_sweep_id,
    wandb_init,
    wandb_sweep,
)
from typing_extensions import assert_type

env = flyte.TaskEnvironment(name="typing")


@wandb_sweep
@env.task
async def bare(count: int) -> str:
    return str(count)


@wandb_sweep(
    project="p",
    entity="e",
    download_logs=True,
    on_exit="stop",
    report=True,
    on_failure="cancel",
    method="random",
    parameters={"lr": {"min": 0.1, "max": 1.0}},
    early_terminate={"type": "hyperband", "min_iter": 3},
)
@wandb_init(run_mode="new")
@env.task(retries=3)
def called(name: str) -> float:
    return float(name)


async def call_tasks() -> None:
    assert_type(await bare(1), str)
    assert_type(await called.aio("1"), float)
    assert_type(get_wandb_sweep_id(), str | None)
    await bare("1")  # type: ignore[call-overload]


wandb_sweep(on_exit="cancel")  # type: ignore[call-overload]
wandb_sweep(report=[1])  # type: ignore[list-item]
wandb_sweep(on_failure="resume")  # type: ignore[call-overload]
wandb_sweep(prior_runs="a")  # type: ignore[call-overload]
wandb_sweep(parameter={})  # type: ignore[call-overload]

errors: list[type[WandbPluginError]] = [
    AgentBusyError,
    NoSweepConfigError,
    SweepConfigError,
    SweepCreateError,
    SweepNotFoundError,
]
by_value: type[ValueError] = SweepConfigError
by_lookup: tuple[type[LookupError], ...] = (NoSweepConfigError, SweepNotFoundError)
assert_type(SweepConfigError(["a"]).problems, tuple[str, ...])
