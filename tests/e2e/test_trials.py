"""`fan_out_sweep_trials` in local mode: each trial is a task in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import flyte
import flyte.errors
import pytest
from flyteplugins.wandb import (
    SweepResult,
    SweepTrial,
    fan_out_sweep_trials,
    get_wandb_run,
    get_wandb_sweep_id,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb_devserver import DevServer

from tests.e2e.support import create_sweep, run_locally, set_sweep_state

env = flyte.TaskEnvironment(name="e2e_trials")

# Raised by Flyte's types of dataclasses.
pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`")

PROJECT = wandb_config(project="trials", tags=["a"], config={"lr": "overridden", "seed": 1}, id="not-of-trials")


@dataclass
class Optimizer:
    name: Literal["adam", "sgd"]
    momentum: float = 0.5


_numbers: list[int] = []
_children: list[str] = []


@wandb_init
@env.task
async def child() -> None:
    run = get_wandb_run(required=True)
    _children.append(run.id)


@wandb_init(config={"decorator": True})
@env.task(cache="auto")
async def train(lr: float, layers: int, optimizer: Optimizer, epochs: int = 2) -> float:
    run = get_wandb_run(required=True)
    assert (type(lr), type(layers), epochs) == (float, int, 2)
    assert run.config["lr"] == lr
    assert run.sweep_id == get_wandb_sweep_id()
    run.log({"loss": lr * layers, "momentum": optimizer.momentum})
    await child()
    return lr


@wandb_init
@env.task
def whole(trial: SweepTrial) -> None:
    run = get_wandb_run(required=True)
    assert trial.run_id == run.id
    _numbers.append(trial.number)
    run.log({"loss": trial.parameters["lr"]})


@wandb_init
@env.task
async def failing_at(lr: int) -> None:
    get_wandb_run(required=True).log({"loss": lr})
    if lr > 1:
        msg = f"too steep: {lr}"
        raise ValueError(msg)


@wandb_init(mode="offline")
@env.task
async def offline(lr: int) -> None:
    assert lr


@wandb_init
@env.task(retries=1)
async def retried(lr: int) -> None:
    run = get_wandb_run(required=True)
    run.log({"loss": lr})
    run.config["attempt"] = 2 if run.resumed else 1
    run.config.update({"nested": {"attempt": run.config["attempt"]}})  # type: ignore[no-untyped-call]
    if not run.resumed:
        msg = "first attempt"
        raise ValueError(msg)


_stopped: list[str] = []
_is_running = threading.Event()


@wandb_init
@env.task
async def endless(lr: int) -> None:
    run = get_wandb_run(required=True)
    try:
        while lr:
            run.log({"loss": 1})
            _is_running.set()
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        _stopped.append(run.id)
        raise


@wandb_init
@env.task
def endless_sync(lr: int) -> None:
    run = get_wandb_run(required=True)
    try:
        while lr:
            run.log({"loss": 1})
            _is_running.set()
            time.sleep(0.05)
    except SystemExit:
        _stopped.append(run.id)
        raise


@wandb_init
@env.task
async def wrong_name(lr: float, depth: int) -> None: ...


@wandb_init
@env.task
async def wrong_type(lr: int) -> None: ...


@env.task
async def undecorated(lr: float) -> None: ...


@wandb_init(id="mine")
@env.task
async def with_id(lr: float) -> None: ...


@wandb_init(project="controllers")
@wandb_sweep
@env.task
async def search(
    task: str, num_trials: int | None = None, max_parallel: int = 4, max_failures: int | None = None
) -> SweepResult:
    return await fan_out_sweep_trials(
        globals()[task], num_trials=num_trials, max_parallel=max_parallel, max_failures=max_failures
    )


@env.task
async def search_of(task: str, sweep: str) -> SweepResult:
    return await fan_out_sweep_trials(globals()[task], sweep_id=sweep, max_parallel=1)


_attempts: list[SweepResult] = []


@wandb_sweep
@env.task(retries=1)
async def search_again() -> SweepResult:
    result = await fan_out_sweep_trials(whole, num_trials=2 if not _attempts else 3, max_parallel=1)
    _attempts.append(result)
    if len(_attempts) == 1:
        msg = "the controller fails"
        raise RuntimeError(msg)
    return result


def grid(**values: list[object]) -> dict[str, str]:
    parameters = {name: {"values": given} for name, given in values.items()}
    metric = {"name": "loss", "goal": "minimize"}
    return {**PROJECT, **wandb_sweep_config(method="grid", metric=metric, parameters=parameters)}


def test_trials_are_runs_of_the_sweep(wandb_devserver: DevServer) -> None:
    """Each has W&B's id and the parameters in its config, above all other config; its children join it."""
    space = {
        "lr": {"values": [1, 0.5]},
        "layers": {"values": [2.0]},
        "optimizer": {"parameters": {"name": {"value": "adam"}}},
        "unused": {"value": "x"},
    }
    sweep = wandb_sweep_config(method="grid", metric={"name": "loss", "goal": "minimize"}, parameters=space)
    _children.clear()
    result: SweepResult = run_locally(search, "train", context={**PROJECT, **sweep})

    assert (result.state, result.counts, result.errors) == ("finished", {"finished": 2}, {})
    assert sorted(trial.agent for trial in result.trials) == ["trial-1", "trial-2"]
    assert result.best is not None
    assert result.best.config["lr"] == 0.5
    (stored,) = wandb_devserver.sweeps("local/trials")
    assert {trial.id for trial in stored.trials} == {trial.id for trial in result.trials} == set(_children)
    for run in stored.trials:
        assert (run.config["unused"], run.config["seed"], run.config["decorator"]) == ("x", 1, True)
        assert (run.tags, "flyte" in run.config) == (["a"], True)


def test_trial_task_takes_a_sweep_trial(wandb_devserver: DevServer) -> None:
    """Random search never ends: `num_trials` does, at exactly so many."""
    _numbers.clear()
    sweep = wandb_sweep_config(method="random", parameters={"lr": {"min": 0.1, "max": 0.9}})
    result: SweepResult = run_locally(search, "whole", num_trials=5, context={**PROJECT, **sweep})

    assert sorted(_numbers) == [1, 2, 3, 4, 5]
    assert result.counts == {"finished": 5}


def test_bayes_search(wandb_devserver: DevServer) -> None:
    pytest.importorskip("sweeps")
    metric = {"name": "loss", "goal": "minimize"}
    sweep = wandb_sweep_config(method="bayes", metric=metric, parameters={"lr": {"min": 0.1, "max": 0.9}})
    result: SweepResult = run_locally(search, "whole", num_trials=3, max_parallel=1, context={**PROJECT, **sweep})

    assert result.counts == {"finished": 3}


def test_failed_actions_are_failed_trials(wandb_devserver: DevServer) -> None:
    """They do not stop the others."""
    result: SweepResult = run_locally(search, "failing_at", max_parallel=1, context=grid(lr=[1, 2, 3, 0]))

    assert result.counts == {"finished": 2, "failed": 2}
    assert set(result.errors) == {"trial-2", "trial-3"}
    assert "too steep: 2" in result.errors["trial-2"]


def test_max_failures_in_a_row_end_the_fan_out(wandb_devserver: DevServer) -> None:
    context = grid(lr=[2, 1, 3, 4, 5])
    result: SweepResult = run_locally(search, "failing_at", max_parallel=1, max_failures=2, context=context)

    assert result.counts == {"finished": 1, "failed": 3}
    assert result.warnings == ["No more trials were started after 2 failures in a row"]


def test_trial_that_opened_no_run_has_failed(wandb_devserver: DevServer) -> None:
    result: SweepResult = run_locally(search, "offline", context=grid(lr=[1]))

    assert result.counts == {"failed": 1}
    assert "opened no W&B run" in result.errors["trial-1"]


def test_retry_continues_the_run(wandb_devserver: DevServer) -> None:
    """Values of the config that its body sets replace those of the first attempt."""
    result: SweepResult = run_locally(search, "retried", context=grid(lr=[1, 2]))

    assert (result.counts, result.errors) == ({"finished": 2}, {})
    (stored,) = wandb_devserver.sweeps("local/trials")
    assert [[row["loss"] for row in run.history] for run in stored.trials] == [[1, 1], [2, 2]]
    configs = [(run.config["attempt"], run.config["nested"], run.config["lr"]) for run in stored.trials]
    assert configs == [(2, {"attempt": 2}, 1), (2, {"attempt": 2}, 2)]


@pytest.mark.parametrize("task", ["endless", "endless_sync"])
def test_trials_of_a_canceled_sweep_are_cancelled(task: str, wandb_devserver: DevServer) -> None:
    """They have failed at W&B, but not for the fan-out."""
    _stopped.clear()
    _is_running.clear()
    sweep = create_sweep("method: grid\nparameters: {lr: {values: [1, 2]}}", project="trials")

    with ThreadPoolExecutor() as executor:
        running = executor.submit(run_locally, search_of, task, str(sweep.ref))
        assert _is_running.wait(30)
        set_sweep_state(str(sweep.ref), "CANCELED")
        result: SweepResult = running.result()

    (trial,) = result.trials
    assert (trial.error, result.errors, result.state) == ("stopped by W&B", {}, "canceled")
    assert trial.state in ("failed", "killed")
    assert _stopped == [trial.id]


@pytest.mark.parametrize("state", ["FINISHED", "CANCELED"])
def test_sweep_that_is_over_gives_no_trials(state: Literal["FINISHED", "CANCELED"], wandb_devserver: DevServer) -> None:
    sweep = str(create_sweep("method: grid\nparameters: {lr: {values: [1, 2]}}", project="trials").ref)
    set_sweep_state(sweep, state)
    result: SweepResult = run_locally(search_of, "failing_at", sweep)

    assert (result.state, result.trials) == (state.lower(), [])


def test_sweep_that_does_not_exist_is_an_error(wandb_devserver: DevServer) -> None:
    with pytest.raises(flyte.errors.RuntimeUserError, match="does not exist"):
        run_locally(search_of, "failing_at", "local/trials/missing")


def test_retried_controller_counts_the_trials_of_its_first_attempt(wandb_devserver: DevServer) -> None:
    _attempts.clear()
    _numbers.clear()
    result: SweepResult = run_locally(search_again, context=grid(lr=[1, 2, 3, 4]))

    assert _numbers == [1, 2, 3]
    assert result.counts == {"finished": 3}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("wrong_name", "requires 'depth', which the sweep does not choose; its parameters are 'lr'"),
        ("wrong_type", "lr=0.5: is not of type int"),
        ("undecorated", "has no @wandb_init"),
        ("with_id", "remove id="),
    ],
)
def test_wrong_tasks_are_refused_before_the_first_trial(task: str, message: str, wandb_devserver: DevServer) -> None:
    with pytest.raises(flyte.errors.RuntimeUserError) as caught:
        run_locally(search, task, context=grid(lr=[1, 0.5]))
    assert message in str(caught.value)
    assert not wandb_devserver.sweeps("local/trials")[0].trials
