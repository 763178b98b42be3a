"""Retries of tasks that change their run's config, or that rewind or fork a run."""

from collections.abc import Callable
from typing import Any

import flyte
import pytest
import wandb
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init
from wandb import Run
from wandb_devserver import DevServer

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_retries")

PROJECT = "local/e2e"
CONTEXT = wandb_config(project="e2e")


def set_item(run: Run, value: int) -> None:
    run.config["seed"] = value


def set_attribute(run: Run, value: int) -> None:
    run.config.seed = value  # type: ignore[attr-defined]


def set_global(run: Run, value: int) -> None:
    del run
    wandb.config["seed"] = value


SETTERS: dict[str, Callable[[Run, int], object]] = {
    "item": set_item,
    "attribute": set_attribute,
    "update": lambda run, value: run.config.update({"seed": value}),  # type: ignore[no-untyped-call]
    "nested": lambda run, value: run.config.update({"nested": {"a": {"b": value}}, "seed": value}),  # type: ignore[no-untyped-call]
    "integer keys": lambda run, value: run.config.update({"layers": {1: "a", 2: "b"}, "seed": value}),  # type: ignore[no-untyped-call]
    "global": set_global,
}
attempts: list[str] = []


def fail_first(setter: str) -> str:
    run = get_wandb_run(required=True)
    attempts.append(setter)
    SETTERS[setter](run, attempts.count(setter))
    if attempts.count(setter) < 3:
        msg = "not yet"
        raise RuntimeError(msg)
    return run.id


@wandb_init
@env.task(retries=2)
async def retried(setter: str) -> str:
    return fail_first(setter)


@wandb_init
@env.task(retries=2)
def retried_sync(setter: str) -> str:
    return fail_first(setter)


@wandb_init
@env.task
async def parent(setter: str) -> str:
    return await retried(setter)


@pytest.mark.parametrize("task", [retried, retried_sync, parent], ids=["async", "sync", "joined child"])
@pytest.mark.parametrize("setter", SETTERS)
def test_retry_may_change_config(setter: str, task: Any, wandb_devserver: DevServer) -> None:
    """The value of the last attempt is that of the run."""
    attempts.clear()
    run = wandb_devserver.run(f"{PROJECT}/{run_locally(task, setter, context=CONTEXT)}")

    assert (run.state, run.config["seed"]) == ("finished", 3)


def log_and_fail_first(steps: int) -> str:
    run = get_wandb_run(required=True)
    attempts.append(run.id)
    for _ in range(steps):
        run.log({"attempt": len(attempts)})
    if len(attempts) < 2:
        msg = "not yet"
        raise RuntimeError(msg)
    return run.id


@wandb_init
@env.task(retries=1)
async def continuing(steps: int) -> str:
    return log_and_fail_first(steps)


@wandb_init(resume_from="base?_step=2")
@env.task(retries=1)
def rewinding(steps: int) -> str:
    return log_and_fail_first(steps)


@wandb_init(fork_from="base?_step=2")
@env.task(retries=1)
def forking(steps: int) -> str:
    return log_and_fail_first(steps)


@wandb_init
@env.task
def calling_fork() -> str:
    return forking(2)


@pytest.mark.parametrize(
    ("task", "given", "is_fork"),
    [
        (rewinding, {}, False),
        (continuing, {"resume_from": "base?_step=2"}, False),
        (forking, {}, True),
        (continuing, {"fork_from": "base?_step=2"}, True),
    ],
    ids=["decorator rewinds", "configuration rewinds", "decorator forks", "configuration forks"],
)
def test_run_is_rewound_or_forked_once(
    task: Any, given: dict[str, Any], is_fork: bool, wandb_devserver: DevServer
) -> None:
    """A retry continues what the first attempt has logged."""
    attempts.clear()
    with wandb.init(project="e2e", id="base") as base:
        for _ in range(5):
            base.log({"attempt": 0})
    run = wandb_devserver.run(f"{PROJECT}/{run_locally(task, 2, context={**CONTEXT, **wandb_config(**given)})}")

    assert (run.id != "base") == is_fork
    assert run.state == "finished"
    assert [row["attempt"] for row in run.history] == [0, 0, 0, 1, 1, 2, 2]


def test_decorator_that_forks_opens_a_separate_run(wandb_devserver: DevServer) -> None:
    """It does not join the parent's run."""
    attempts.clear()
    with wandb.init(project="e2e", id="base") as base:
        base.log({"attempt": 0})
        base.log({"attempt": 0})
        base.log({"attempt": 0})
    run_locally(calling_fork, context=CONTEXT)

    assert len(wandb_devserver.runs(PROJECT)) == 3
