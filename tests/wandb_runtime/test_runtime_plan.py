"""Which run a task opens or joins, as a table."""

from dataclasses import replace
from typing import Any

import pytest
from wandb_runtime import NoParentRunError, WandbConfig, wandb_config
from wandb_runtime._plan import JoinPlan, OpenPlan, RunAddress, Surroundings, plan_run
from wandb_runtime._task import TaskIdentity

TOP = TaskIdentity("run1", "a1", is_top_level=True, is_local=True)
CHILD = TaskIdentity("run1", "a2", is_top_level=False, is_local=True)
REMOTE_CHILD = replace(CHILD, is_local=False)
PARENT = RunAddress("run1-a1", "team", "vision", "http://h")


def around(
    task: TaskIdentity | None = TOP,
    *,
    nearest: RunAddress | None = None,
    joinable: bool = True,
    context: WandbConfig | None = None,
    environment: dict[str, str] | None = None,
) -> Surroundings:
    return Surroundings(
        context=context or wandb_config(),
        environment=environment or {},
        task=task,
        short_name="train",
        nearest=nearest,
        is_joinable=joinable and nearest is not None,
    )


def opened(plan: JoinPlan | OpenPlan) -> OpenPlan:
    assert isinstance(plan, OpenPlan)
    return plan


CLOSING = {"finish_timeout": 600, "finish_timeout_raises": True}
JOINS = "joins"
FAILS = "fails"


@pytest.mark.parametrize(
    ("run_mode", "where", "expected"),
    [
        # no run above
        ("auto", around(TOP), "run1-a1"),
        ("new", around(TOP), "run1-a1"),
        ("shared", around(TOP), FAILS),
        ("auto", around(CHILD), "run1-a2"),
        ("shared", around(CHILD), FAILS),
        # local: any run of this process
        ("auto", around(CHILD, nearest=PARENT), JOINS),
        ("shared", around(CHILD, nearest=PARENT), JOINS),
        ("new", around(CHILD, nearest=PARENT), "run1-a2"),
        # remote: a plain run takes no second writer
        ("auto", around(REMOTE_CHILD, nearest=PARENT, joinable=False), "run1-a2"),
        ("shared", around(REMOTE_CHILD, nearest=PARENT, joinable=False), FAILS),
        ("new", around(REMOTE_CHILD, nearest=PARENT, joinable=False), "run1-a2"),
        # a plain function: W&B makes the id
        ("auto", around(None), None),
        ("auto", around(None, nearest=PARENT), JOINS),
        ("new", around(None, nearest=PARENT), None),
        ("shared", around(None), FAILS),
        # a configured id: the top-level task's, and the stem of others
        ("auto", around(TOP, context=wandb_config(id="mine")), "mine"),
        ("auto", around(CHILD, context=wandb_config(id="mine")), "mine-a2"),
        ("new", around(CHILD, nearest=PARENT, context=wandb_config(id="mine")), "mine-a2"),
        ("auto", around(CHILD, nearest=PARENT, context=wandb_config(id="mine")), JOINS),
        ("auto", around(None, context=wandb_config(id="mine")), None),
    ],
)
@pytest.mark.parametrize("by", ["decorator", "context"])
def test_which_run(run_mode: Any, where: Surroundings, expected: str | None, by: str) -> None:
    """The table of the design, whether the decorator or the context gives the run mode."""
    mode = wandb_config(run_mode=run_mode)
    if by == "context":
        where = replace(where, context=where.context.merged(mode))
    decorator = mode if by == "decorator" else wandb_config()

    if expected == FAILS:
        with pytest.raises(NoParentRunError, match='run_mode="shared"'):
            plan_run(decorator, where)
        return
    plan = plan_run(decorator, where)
    if isinstance(plan, JoinPlan):
        assert expected == JOINS
        assert plan.address == PARENT
    else:
        assert plan.init.get("id") == expected


def test_own_id_opens_that_run() -> None:
    """A decorator's id is literal, and wins over the parent's run and a configured id."""
    where = around(CHILD, nearest=PARENT, context=wandb_config(id="configured"))

    assert opened(plan_run(wandb_config(id="mine"), where)).init["id"] == "mine"


def test_own_id_that_is_the_parent_s_joins_it() -> None:
    """The same run cannot be opened twice by one process."""
    assert isinstance(plan_run(wandb_config(id=PARENT.id), around(CHILD, nearest=PARENT)), JoinPlan)


def test_precedence() -> None:
    """Decorator over context; `config` by key, `tags` in all."""
    context = wandb_config(project="c", entity="c", tags=["c"], config={"a": 1, "b": 1})
    decorator = wandb_config(project="d", tags=["d"], config={"b": 2})
    plan = opened(plan_run(decorator, around(context=context)))

    assert (plan.init["project"], plan.init["entity"]) == ("d", "c")
    assert plan.init["tags"] == ["c", "d"]
    assert plan.init["config"] == {"a": 1, "b": 2}


def test_what_is_not_given_is_left_to_wandb() -> None:
    """The environment and W&B's defaults rank below: an argument would hide them."""
    plan = opened(plan_run(wandb_config(), around(None)))

    assert dict(plan.init) == {}
    assert dict(plan.settings) == CLOSING
    assert plan.metadata is None


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ({}, {}, ("run1", "train")),
        ({"WANDB_RUN_GROUP": "g", "WANDB_JOB_TYPE": "j"}, {}, (None, None)),
        ({"WANDB_RUN_GROUP": "g"}, {"group": "mine", "job_type": "kind"}, ("mine", "kind")),
    ],
)
def test_group_and_job_type(environment: dict[str, str], given: Any, expected: tuple[str | None, str | None]) -> None:
    """The defaults rank below the environment, the user's own above it."""
    plan = opened(plan_run(wandb_config(**given), around(environment=environment)))

    assert (plan.init.get("group"), plan.init.get("job_type")) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "allow"), ({"resume": "must"}, "must"), ({"fork_from": "x?_step=1"}, None), ({"resume_from": "x"}, None)],
)
def test_a_retry_continues_its_run(given: Any, expected: str | None) -> None:
    """A task's run is resumed, unless the user has said how."""
    assert opened(plan_run(wandb_config(**given), around())).init.get("resume") == expected


def test_metadata() -> None:
    """The run tells which action made it, unless that is turned off."""
    task = replace(TOP, project="p", domain="d", version="v")
    plan = opened(plan_run(wandb_config(), around(task)))

    assert plan.metadata == {
        "run": "run1",
        "action": "a1",
        "task": "train",
        "project": "p",
        "domain": "d",
        "version": "v",
        "attempt": 0,
    }
    assert opened(plan_run(wandb_config(flyte_metadata=False), around(task))).metadata is None


@pytest.mark.parametrize(
    ("task", "environment", "given", "expected"),
    [
        (TOP, {}, {}, {"console": "off"}),
        (TOP, {"WANDB_CONSOLE": "wrap"}, {}, {}),
        (TOP, {}, {"settings": {"console": "redirect"}}, {"console": "redirect"}),
        (replace(TOP, is_local=False), {}, {}, {}),
        (replace(TOP, is_local=False), {}, {"host": "http://h/"}, {"base_url": "http://h"}),
    ],
)
def test_settings(task: TaskIdentity, environment: dict[str, str], given: Any, expected: dict[str, str]) -> None:
    """Local tasks share a console, which W&B would give to each of their runs; the user's own settings win."""
    plan = opened(plan_run(wandb_config(**given), around(task, environment=environment)))

    assert plan.settings == {**CLOSING, **expected}


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ({}, {}, 600),
        ({"WANDB_FINISH_TIMEOUT": "5"}, {}, None),
        ({"WANDB_FINISH_TIMEOUT": "5"}, {"finish_timeout": 7}, 7),
        ({}, {"finish_timeout": 7, "settings": {"finish_timeout": 9}}, 9),
    ],
)
def test_closing_is_bounded(environment: dict[str, str], given: Any, expected: float | None) -> None:
    """By a generous default, below everything the user says."""
    plan = opened(plan_run(wandb_config(**given), around(environment=environment)))

    assert plan.settings.get("finish_timeout") == expected


def test_join_adds_its_own() -> None:
    """A joined run gets the child's tags and configuration; what its decorator says wins."""
    where = around(CHILD, nearest=PARENT, context=wandb_config(config={"a": 1}, tags=["c"]))
    plan = plan_run(wandb_config(config={"b": 2}, tags=["d"], name="no"), where)

    assert plan == JoinPlan(PARENT, config={"b": 2}, inherited_config={"a": 1}, tags=("c", "d"))


def test_address_travels() -> None:
    """A child reads the address its parent has handed down."""
    context = {"wandb_project": "p", **PARENT.to_context()}

    assert RunAddress.from_context(context) == PARENT
    assert context["_wandb_run_id"] == PARENT.id
    assert RunAddress.from_context({}) is None
