"""Which sweep a task joins or creates, as a table."""

import dataclasses
import re
from typing import Any

import pytest
from wandb_runtime import WandbConfig, wandb_config
from wandb_runtime.tasks.action import TaskIdentity
from wandb_sweeps import (
    NoSweepConfigError,
    SweepConfigError,
    WandbSweep,
    WandbSweepConfig,
    get_wandb_sweep_id,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb_sweeps._address import SweepAddress
from wandb_sweeps._config.sweep import SCOPE_KEY
from wandb_sweeps._lifecycle.planning import CreatePlan, JoinPlan, SilentPlan, Surroundings, fingerprint, plan_sweep
from wandb_sweeps._lifecycle.session import state_after

TASK = TaskIdentity("run", "a0", is_top_level=True, is_local=False, project="p", domain="d", attempt=0)
SWEEP = wandb_sweep_config(method="grid", parameters={"lr": {"values": [1, 2]}})
NOTHING = wandb_sweep_config()


def address(context: dict[str, str]) -> SweepAddress:
    return SweepAddress("abc", "e", "p", "https://host", fingerprint(context))


def inheriting(context: dict[str, str]) -> dict[str, str]:
    """The context of a child whose parent has a sweep."""
    return {**context, **address(context).to_context()}


def created(decorator: WandbSweepConfig = NOTHING, **around: Any) -> CreatePlan:
    given: dict[str, Any] = {"context": dict(SWEEP), "environment": {}, "task": TASK, **around}
    plan = plan_sweep(decorator, Surroundings(**given))
    assert isinstance(plan, CreatePlan)
    return plan


def test_a_new_sweep() -> None:
    """What is sent is W&B's configuration, and no more; the name is that of the action."""
    decorator = wandb_sweep_config(on_failure="cancel", run_cap=3)
    config = wandb_sweep_config(project="x", entity="y", on_exit="stop", prior_runs=["r1"], description="mine")
    plan = created(decorator, context={**SWEEP, **config})

    assert plan.config == {
        "method": "grid",
        "parameters": {"lr": {"values": [1, 2]}},
        "description": "mine",
        "name": "run-a0",
        "run_cap": 3,
    }
    assert (plan.project, plan.entity, plan.prior_runs) == ("x", "y", ("r1",))
    assert (plan.on_exit, plan.on_failure) == ("stop", "cancel")
    assert plan.description == f"mine\n\n{plan.marker}"
    assert not plan.may_exist


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("decorator", "sweep", "run", "environment"), "decorator"),
        (("sweep", "run", "environment"), "sweep"),
        (("run", "environment"), "run"),
        (("environment",), "environment"),
        ((), None),
    ],
)
def test_places(given: tuple[str, ...], expected: str | None) -> None:
    """Project and entity: decorator, sweep configuration, configuration, environment; W&B decides otherwise."""
    values = {source: {"project": source, "entity": source} if source in given else {} for source in _SOURCES}
    plan = created(
        WandbSweepConfig.from_values(**values["decorator"]),
        context={
            **SWEEP,
            **WandbSweepConfig.from_values(**values["sweep"]),
            **WandbConfig.from_values(**values["run"]),
        },
        environment={f"WANDB_{name.upper()}": value for name, value in values["environment"].items()},
    )

    assert (plan.project, plan.entity) == (expected, expected)


_SOURCES = ("decorator", "sweep", "run", "environment")


@pytest.mark.parametrize(
    ("attempt", "may_exist"),
    [(0, False), (1, True), (None, True)],
    ids=["first", "second", "Flyte does not tell"],
)
def test_which_attempts_look_for_a_sweep(attempt: int | None, may_exist: bool) -> None:
    """All but one that is known to be the first; the marker is the same for all of them."""
    plan = created(task=dataclasses.replace(TASK, attempt=attempt))

    assert plan.may_exist is may_exist
    assert plan.marker == created().marker


@pytest.mark.parametrize(
    "other",
    [
        {"task": dataclasses.replace(TASK, run_name="other")},
        {"task": dataclasses.replace(TASK, action_name="a1")},
        {"task": dataclasses.replace(TASK, domain="other")},
        {"context": {**SWEEP, **wandb_sweep_config(run_cap=3)}},
    ],
    ids=["run", "action", "domain", "configuration"],
)
def test_markers_differ(other: dict[str, Any]) -> None:
    """Also where the sweeps have one name."""
    name = wandb_sweep_config(name="the same")

    assert created(name).marker != created(name, **other).marker


def test_outside_flyte() -> None:
    """There is no action: no marker, and W&B makes the name."""
    plan = created(task=None)

    assert (plan.marker, plan.name, plan.description, plan.may_exist) == (None, None, None, False)


@pytest.mark.parametrize(
    ("context", "decorator", "joins"),
    [
        (inheriting(SWEEP), NOTHING, True),
        (inheriting(SWEEP), wandb_sweep_config(project="elsewhere", on_exit="stop"), True),
        ({**inheriting(SWEEP), **wandb_config(project="elsewhere")}, NOTHING, True),
        ({**inheriting(SWEEP), SCOPE_KEY: "entered"}, NOTHING, False),
        ({**inheriting(SWEEP), **wandb_sweep_config(run_cap=1)}, NOTHING, False),
        (inheriting({**SWEEP, SCOPE_KEY: "entered"}), NOTHING, True),
        (inheriting(SWEEP), wandb_sweep_config(parameters={"lr": {"value": 1}}), False),
        (inheriting({}), wandb_sweep_config(project="p"), True),
    ],
    ids=["inherited", "decorator", "runs", "entered", "carried", "in one entered", "own parameters", "none"],
)
def test_joining(context: dict[str, str], decorator: WandbSweepConfig, joins: bool) -> None:
    """A sweep of a task above is joined, unless a configuration is nearer; so says the link."""
    plan = plan_sweep(decorator, Surroundings(context, {}, TASK))

    assert isinstance(plan, JoinPlan) is joins
    if decorator.parameters is None:
        arguments = ("run", "p", "d", context, "a0", "a1", "pod")
        link = WandbSweep(host="https://host", entity="e", project="p").get_link(*arguments)
        assert link == ("https://host/e/p/sweeps/abc" if joins else "https://host/e/p/sweeps")


def test_ranks() -> None:
    """The first process of a distributed task creates; the others have what a task above has."""
    others = Surroundings(SWEEP, {}, TASK, is_first_rank=False)

    assert isinstance(plan_sweep(NOTHING, others), SilentPlan)
    joining = dataclasses.replace(others, context=inheriting(SWEEP))
    assert isinstance(plan_sweep(NOTHING, joining), JoinPlan)


@pytest.mark.parametrize("config", [{}, wandb_sweep_config(project="p", name="n", on_exit="stop")])
def test_no_configuration(config: dict[str, str]) -> None:
    """Nothing that tells how to search: the error says where to give it."""
    with pytest.raises(NoSweepConfigError, match=re.escape("custom_context=wandb_sweep_config(")):
        created(context=config)


def test_a_wrong_configuration() -> None:
    """It is refused whole, with every problem."""
    with pytest.raises(SweepConfigError, match=r"- method: is missing") as caught:
        created(context=wandb_sweep_config(parameters={"a": {}}))

    assert len(caught.value.problems) == 2


def test_a_plain_function() -> None:
    """It is no task: it would never be asked for a sweep."""

    def function() -> None: ...

    with pytest.raises(TypeError, match=r"put it above @env\.task"):
        wandb_sweep(function)


@pytest.mark.parametrize(
    ("settings", "after_return", "after_failure"),
    [
        ({}, None, "FINISHED"),
        ({"on_exit": "stop", "on_failure": "cancel"}, "FINISHED", "CANCELED"),
        ({"on_exit": "leave", "on_failure": "leave"}, None, None),
        ({"on_failure": "stop"}, None, "FINISHED"),
    ],
)
def test_what_becomes_of_a_sweep(settings: dict[str, Any], after_return: str | None, after_failure: str | None) -> None:
    """By default it is left after a return, and stopped after a failure."""
    plan = created(wandb_sweep_config(**settings))

    assert state_after(plan, has_failed=False) == after_return
    assert state_after(plan, has_failed=True) == after_failure


def test_an_address_in_the_context() -> None:
    """It reads back as it was; what a newer version adds to it is ignored."""
    found = address({})

    assert SweepAddress.from_context(found.to_context()) == found
    assert SweepAddress.from_context({}) is None
    assert str(found.ref) == "e/p/abc"
    newer = {"_wandb_sweep": found.to_context()["_wandb_sweep"].replace("{", '{"later": 1, ')}
    assert SweepAddress.from_context(newer) == found


def test_outside_of_tasks() -> None:
    """There is no sweep."""
    assert get_wandb_sweep_id() is None
