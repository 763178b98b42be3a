"""Configuration of runs and sweeps. Never executed: read by mypy, see tests/install/test_consumers.py."""

import argparse
from typing import Any

import flyte
from flyteplugins.wandb import (
    Mode,
    OnExit,
    OnFailure,
    OnUnavailable,
    RankScope,
    RunMode,
    SweepMethod,
    WandbConfig,
    WandbSweepConfig,
    get_wandb_context,
    get_wandb_sweep_context,
    wandb_config,
    wandb_sweep_config,
)
from typing_extensions import assert_type

env = flyte.TaskEnvironment(name="typing")


@env.task
async def task(x: int) -> int:
    return x


# Flyte requires dict[str, str]: a configuration is one.

run_configuration = wandb_config(project="p", entity="e", tags=["a"], config={"lr": 0.1}, run_mode="new")
sweep_configuration = wandb_sweep_config(
    method="random",
    metric={"name": "loss", "goal": "minimize"},
    parameters={"lr": {"min": 0.1, "max": 0.2}},
    prior_runs=["a"],
    on_exit="stop",
    on_failure="cancel",
    run_cap=3,
)

assert_type(run_configuration, WandbConfig)
assert_type(sweep_configuration, WandbSweepConfig)

flyte.with_runcontext(custom_context=run_configuration).run(task, x=1)
flyte.with_runcontext(custom_context={**run_configuration, **sweep_configuration}).run(task, x=1)
flyte.with_runcontext(custom_context=wandb_config(project="p"))
flyte.with_runcontext(custom_context=wandb_sweep_config())
flyte.with_runcontext(custom_context={"mine": "x", **wandb_config(id="x", mode="offline", name="n", group="g")})

assert_type({**run_configuration, **sweep_configuration}, dict[str, str])
as_dict: dict[str, str] = wandb_config()
assert_type(run_configuration["wandb_project"], str)


# Around child calls.


async def parent() -> int:
    with wandb_config(project="p"):
        result = await task(x=1)
    with run_configuration, wandb_sweep_config(method="grid"):
        return result


# Read back, without a guard.

context = get_wandb_context()
assert_type(context, WandbConfig)
assert_type(context.project, str | None)
assert_type(context.entity, str | None)
assert_type(context.id, str | None)
assert_type(context.name, str | None)
assert_type(context.group, str | None)
assert_type(context.host, str | None)
assert_type(context.notes, str | None)
assert_type(context.tags, list[str] | None)
assert_type(context.mode, Mode | None)
assert_type(context.run_mode, RunMode | None)
assert_type(context.rank_scope, RankScope | None)
assert_type(context.download_logs, bool | None)
assert_type(context.flyte_metadata, bool | None)
assert_type(context.log_inputs, bool | None)
assert_type(context.report, bool | list[str] | None)
assert_type(context.finish_timeout, float | None)
assert_type(context.on_unavailable, OnUnavailable | None)
assert_type(context.config, dict[str, Any] | None)  # What is in it is the user's.
context.project.upper()  # type: ignore[union-attr]
context.projekt  # type: ignore[attr-defined]  # noqa: B018
context.project = "other"  # type: ignore[assignment]

sweep_context = get_wandb_sweep_context()
assert_type(sweep_context, WandbSweepConfig)
assert_type(sweep_context.method, SweepMethod | None)
assert_type(sweep_context.project, str | None)
assert_type(sweep_context.entity, str | None)
assert_type(sweep_context.name, str | None)
assert_type(sweep_context.download_logs, bool | None)
assert_type(sweep_context.on_exit, OnExit | None)
assert_type(sweep_context.report, bool | list[str] | None)
assert_type(sweep_context.on_failure, OnFailure | None)
assert_type(sweep_context.run_cap, int | None)
assert_type(sweep_context.parameters, dict[str, Any] | None)  # The search space is W&B's language.
sweep_context.run_mode  # type: ignore[attr-defined]  # noqa: B018

mode: RunMode = "auto"
wrong_mode: RunMode = "sometimes"  # type: ignore[assignment]
scope: RankScope = "worker"
wrong_scope: RankScope = "node"  # type: ignore[assignment]


# Wrong arguments.

wandb_config(run_mode="sometimes")  # type: ignore[arg-type]
wandb_config(project=1)  # type: ignore[arg-type]
wandb_config(projekt="p")  # type: ignore[call-arg]
wandb_config(resume="always")  # type: ignore[arg-type]
wandb_config(settings={"console": "wrap"}, notes="n", job_type="train")
wandb_config(1)  # type: ignore[arg-type]
wandb_config(tags=3)  # type: ignore[arg-type]
wandb_config(tags="baseline")  # type: ignore[arg-type]
wandb_config(tags=("a", "b"), config_exclude_keys=["lr"])
wandb_config(config_include_keys="lr")  # type: ignore[arg-type]
wandb_config(config=["lr"])  # type: ignore[arg-type]
wandb_config(config=argparse.Namespace(lr=0.1))
wandb_config(download_logs="yes")  # type: ignore[arg-type]
wandb_config(rank_scope="node")  # type: ignore[arg-type]
wandb_config(on_unavailable="ignore")  # type: ignore[arg-type]
wandb_config(finish_timeout="1")  # type: ignore[arg-type]
wandb_config("p", "e", "i", "n", [], {}, None, None, None, None, "h")  # type: ignore[call-arg]
wandb_sweep_config(method="guess")  # type: ignore[arg-type]
wandb_sweep_config(metod="grid")  # type: ignore[call-arg]
wandb_sweep_config(method=1)  # type: ignore[arg-type]
wandb_sweep_config(prior_runs="abc")  # type: ignore[arg-type]
wandb_sweep_config(prior_runs=("abc", "def"), command=["python", "train.py"])
wandb_sweep_config(command="python train.py")  # type: ignore[arg-type]
wandb_sweep_config(metric="loss")  # type: ignore[arg-type]
wandb_sweep_config(prior_runs=("a", "b"), command=["python", "train.py"])
wandb_sweep_config(prior_runs="a")  # type: ignore[arg-type]
wandb_sweep_config(command="python train.py")  # type: ignore[arg-type]
wandb_sweep_config(parameters=["lr"])  # type: ignore[arg-type]
wandb_sweep_config(on_exit="cancel")  # type: ignore[arg-type]
wandb_config(report=True)
wandb_config(report=("loss", "accuracy"))
wandb_config(report=1.5)  # type: ignore[arg-type]
wandb_sweep_config(report=["loss"])
wandb_sweep_config(report=[1])  # type: ignore[list-item]
wandb_sweep_config(on_failure="ignore")  # type: ignore[arg-type]
get_wandb_context("project")  # type: ignore[call-arg]
