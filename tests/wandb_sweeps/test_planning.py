"""The decision which sweep a task joins or creates, as a table."""

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
from wandb_sweeps._config.sweep import SCOPE_KEY
from wandb_sweeps._lifecycle.planning import CreatePlan, fingerprint, plan_sweep, sweep_to_join
from wandb_sweeps._lifecycle.session import state_after
from wandb_sweeps._location import SweepLocation

TASK = TaskIdentity("run", "a0", is_top_level=True, is_local=False, project="p", domain="d", attempt=0)
SWEEP = wandb_sweep_config(method="grid", parameters={"lr": {"values": [1, 2]}})
NOTHING = wandb_sweep_config()


def location(context: dict[str, str]) -> SweepLocation:
    return SweepLocation("abc", "e", "p", "https://host", fingerprint(context))


def inheriting(context: dict[str, str]) -> dict[str, str]:
    """Return the context of a child whose parent has a sweep."""
    return {**context, **location(context).to_context()}


def created(decorator: WandbSweepConfig = NOTHING, **around: Any) -> CreatePlan:
    given: dict[str, Any] = {"context": dict(SWEEP), "environment": {}, "task": TASK, **around}
    return plan_sweep(decorator, **given)


def test_created_sweep_has_only_keys_of_wandb_and_the_name_of_the_action() -> None:
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
def test_project_and_entity_come_from_the_strongest_source(given: tuple[str, ...], expected: str | None) -> None:
    """Decorator, sweep configuration, configuration, environment; otherwise W&B decides."""
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
    ids=["first", "second", "unknown"],
)
def test_every_attempt_but_the_first_searches_for_its_sweep(attempt: int | None, may_exist: bool) -> None:
    """The marker is the same for all attempts."""
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
def test_markers_differ_even_if_names_are_equal(other: dict[str, Any]) -> None:
    name = wandb_sweep_config(name="the same")

    assert created(name).marker != created(name, **other).marker


def test_sweep_outside_flyte_has_neither_marker_nor_name() -> None:
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
def test_ancestor_sweep_is_joined_unless_a_configuration_is_nearer(
    context: dict[str, str], decorator: WandbSweepConfig, joins: bool
) -> None:
    """The link agrees."""
    assert (sweep_to_join(decorator, context) is not None) is joins
    if decorator.parameters is None:
        arguments = ("run", "p", "d", context, "a0", "a1", "pod")
        link = WandbSweep(host="https://host", entity="e", project="p").get_link(*arguments)
        assert link == ("https://host/e/p/sweeps/abc" if joins else "https://host/e/p/sweeps")


@pytest.mark.parametrize("config", [{}, wandb_sweep_config(project="p", name="n", on_exit="stop")])
def test_missing_configuration_is_an_error_with_advice(config: dict[str, str]) -> None:
    with pytest.raises(NoSweepConfigError, match=re.escape("custom_context=wandb_sweep_config(")):
        created(context=config)


def test_invalid_configuration_is_refused_with_all_problems() -> None:
    with pytest.raises(SweepConfigError, match=r"- method: is missing") as caught:
        created(context=wandb_sweep_config(early_terminate={"type": "hyperband", "min_iter": 1}))

    assert len(caught.value.problems) == 3


def test_invalid_field_of_a_plain_context_is_refused() -> None:
    with pytest.raises(SweepConfigError, match=re.escape("- wandb_sweep_parameters['a']['mni']: is unknown")):
        created(context={"wandb_sweep_method": "random", "wandb_sweep_parameters": '{"a": {"mni": 1}}'})


def test_plain_function_is_refused() -> None:

    def function() -> None: ...

    with pytest.raises(TypeError, match=r"put it above @env\.task"):
        wandb_sweep(function)


@pytest.mark.parametrize(
    ("settings", "after_return", "after_failure"),
    [
        ({}, "FINISHED", "FINISHED"),
        ({"on_exit": "stop", "on_failure": "cancel"}, "FINISHED", "CANCELED"),
        ({"on_exit": "leave", "on_failure": "leave"}, None, None),
        ({"on_failure": "stop"}, "FINISHED", "FINISHED"),
    ],
)
def test_end_of_the_task_sets_the_state_of_the_sweep(
    settings: dict[str, Any], after_return: str | None, after_failure: str | None
) -> None:
    """By default the sweep is stopped; after a return only if all of its trials have ended."""
    plan = created(wandb_sweep_config(**settings))

    assert state_after(plan, has_failed=False) == after_return
    assert state_after(plan, has_failed=True) == after_failure


def test_sweep_location_round_trips_through_the_context() -> None:
    """Keys of newer versions are ignored."""
    found = location({})

    assert SweepLocation.from_context(found.to_context()) == found
    assert SweepLocation.from_context({}) is None
    assert str(found.ref) == "e/p/abc"
    newer = {"_wandb_sweep": found.to_context()["_wandb_sweep"].replace("{", '{"later": 1, ')}
    assert SweepLocation.from_context(newer) == found


def test_sweep_id_outside_of_tasks_is_missing() -> None:
    assert get_wandb_sweep_id() is None
