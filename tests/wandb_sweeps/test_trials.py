"""The parameters of a sweep as the inputs of a trial task, and the run that such a task opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import flyte
import pytest
from wandb_artifacts import InvalidValueError
from wandb_runtime import Wandb, WandbConfig, wandb_config, wandb_init
from wandb_runtime.lifecycle.planning import plan_run
from wandb_runtime.lifecycle.plans import OpenPlan, PlanningContext
from wandb_runtime.lifecycle.sweep_trials import AssignedTrial
from wandb_runtime.tasks.action import TaskIdentity
from wandb_sweeps import SweepTrial
from wandb_sweeps._trials.binding import bind, examples_of

env = flyte.TaskEnvironment(name="binding")

TRIAL = AssignedTrial("r1", "s1", "team", "proj", "http://wandb.test", {"lr": 0.5})


class Kind(Enum):
    ADAM = "adam"


@dataclass
class Optimizer:
    name: str
    momentum: float = 0.5


@wandb_init
@env.task
async def typed(
    lr: float = 0.0,
    layers: int = 0,
    name: str = "",
    flag: bool = False,
    kind: Kind = Kind.ADAM,
    choice: Literal["a", "b"] = "a",
    sizes: list[int] | None = None,
    optimizer: Optimizer | None = None,
    options: dict[str, int] | None = None,
) -> None: ...


@wandb_init
@env.task
async def requiring(lr: float, depth: int) -> None: ...


@wandb_init
@env.task
async def whole(trial: SweepTrial, epochs: int = 3) -> None: ...


@wandb_init
@env.task
async def whole_and_more(trial: SweepTrial, epochs: int) -> None: ...


@wandb_init(run_mode="shared")
@env.task
async def shared(lr: float) -> None: ...


@wandb_init(id="mine")
@env.task
async def with_id(lr: float) -> None: ...


@env.task
async def undecorated(lr: float) -> None: ...


def bound(**parameters: Any) -> dict[str, Any]:
    binding = bind(typed, {name: {"value": value} for name, value in parameters.items()})
    return binding.arguments(SweepTrial("r", "e/p/s", 1, parameters))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr", 1, 1.0),
        ("lr", 0.1, 0.1),
        ("layers", 3.0, 3),
        ("name", "x", "x"),
        ("flag", True, True),
        ("kind", "adam", Kind.ADAM),
        ("sizes", [1, 2], [1, 2]),
        ("optimizer", {"name": "sgd", "momentum": 1}, Optimizer("sgd", 1.0)),
        ("options", {"a": 1}, {"a": 1}),
    ],
)
def test_parameters_become_the_declared_types(name: str, value: object, expected: object) -> None:
    found = bound(**{name: value}, unused="x")[name]
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "0.1"),
        ("lr", True),
        ("layers", 0.5),
        ("layers", "3"),
        ("layers", True),
        ("name", 1),
        ("flag", 1),
        ("kind", "sgd"),
        ("choice", "c"),
        ("sizes", [1, "x"]),
        ("optimizer", {"momentum": 1}),
    ],
)
def test_values_of_other_types_are_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidValueError, match="is not of type") as caught:
        bound(**{name: value})
    assert caught.value.field == name
    assert caught.value.value == value


def test_every_listed_value_is_checked() -> None:
    with pytest.raises(InvalidValueError, match="is not of type int"):
        bind(typed, {"layers": {"values": [1, 2, 2.5]}})


@pytest.mark.parametrize(
    ("parameter", "examples"),
    [
        ({"value": 1}, [1]),
        ({"values": [1, "a"]}, [1, "a"]),
        ({"min": 1, "max": 5}, [1]),
        ({"min": 1.0, "max": 5}, [0.5]),
        ({"min": 1, "max": 5, "distribution": "uniform"}, [0.5]),
        ({"min": 1, "max": 5, "distribution": "int_uniform"}, [1]),
        ({"min": 1, "max": 5, "distribution": "q_uniform", "q": 2}, [2.0]),
        ({"distribution": "normal", "mu": 0, "sigma": 1}, [0.5]),
        ({"parameters": {"a": {"value": 1}, "b": {"values": [2, 3]}}}, [{"a": 1, "b": 2}]),
    ],
)
def test_examples_of_a_parameter(parameter: Mapping[str, object], examples: list[object]) -> None:
    assert list(examples_of(parameter)) == examples


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (requiring, "requires 'depth', which the sweep does not choose; its parameters are 'lr'"),
        (whole_and_more, "requires 'epochs' too"),
        (shared, "each trial is a separate run"),
        (with_id, "W&B chooses the id"),
        (undecorated, "has no @wandb_init"),
        (test_every_listed_value_is_checked, "must be a Flyte task"),
    ],
)
def test_tasks_that_cannot_be_trials_are_refused(task: object, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        bind(task, {"lr": {"value": 0.1}})
    assert caught.value.field == "trial_task"


def test_task_may_take_the_whole_trial() -> None:
    trial = SweepTrial("r", "e/p/s", 1, {"lr": 0.1})
    assert bind(whole, {"lr": {"value": 0.1}}).arguments(trial) == {"trial": trial}


def test_assigned_trial_is_the_run_that_its_task_opens() -> None:
    """Whatever the decorator and the inherited configuration say."""
    decorator = WandbConfig.from_values(
        project="other", host="http://other.test", resume_from="x?_step=1", config={"lr": 1, "seed": 2}
    )
    inherited = {**wandb_config(id="parent", run_mode="shared", tags=["a"]), "_wandb_run": "{}", **TRIAL.to_context()}
    trial = AssignedTrial.from_context(inherited)
    assert trial == TRIAL
    context = PlanningContext(
        config=WandbConfig.from_context(trial.context(inherited)),
        environment={},
        task=TaskIdentity("run", "action", is_top_level=False, is_local=False),
        short_name="train",
        trial=trial,
    )
    plan = plan_run(decorator, context)

    assert isinstance(plan, OpenPlan)
    init = {
        name: plan.init.get(name) for name in ("id", "entity", "project", "resume", "resume_from", "config", "tags")
    }
    assert init == {
        "id": "r1",
        "entity": "team",
        "project": "proj",
        "resume": "allow",
        "resume_from": None,
        "config": {"lr": 0.5, "seed": 2},
        "tags": ["a"],
    }
    assert (plan.settings["sweep_id"], plan.settings["base_url"]) == ("s1", "http://wandb.test")
    assert plan.is_trial


def test_link_of_a_trial_leads_to_its_run() -> None:
    link = Wandb(project="other").get_link("run", "p", "d", TRIAL.to_context(), "a0", "{{.actionName}}", "pod")
    assert link == "http://wandb.test/team/proj/runs/r1"
