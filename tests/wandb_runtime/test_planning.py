"""Planning: the run that a task opens or joins."""

from dataclasses import replace
from typing import Any

import pytest
from wandb_runtime import NoParentRunError, WandbConfig, wandb_config
from wandb_runtime.lifecycle.planning import plan_run
from wandb_runtime.lifecycle.plans import JoinPlan, OpenPlan, Plan, PlanningContext, RunLocation, RunUpdate, WriterPlan
from wandb_runtime.tasks.action import TaskIdentity

TOP = TaskIdentity("run1", "a1", is_top_level=True, is_local=True)
CHILD = TaskIdentity("run1", "a2", is_top_level=False, is_local=True)
REMOTE = TaskIdentity("run1", "a0", is_top_level=True, is_local=False, attempt=0, has_own_process=True)
REMOTE_CHILD = replace(REMOTE, action_name="a2", is_top_level=False)
PARENT = RunLocation("run1-a1", "team", "vision", "http://h")
SHARED = replace(PARENT, mode="shared", group="g")
OFFLINE = replace(PARENT, mode="offline", group="g")


def around(
    task: TaskIdentity | None = TOP,
    *,
    inherited: RunLocation | None = None,
    elsewhere: bool = False,
    reachable: bool = False,
    context: WandbConfig | None = None,
    environment: dict[str, str] | None = None,
) -> PlanningContext:
    return PlanningContext(
        config=context or wandb_config(),
        environment=environment or {},
        task=task,
        short_name="train",
        inherited=inherited,
        is_open_in_process=inherited is not None and not elsewhere,
        can_be_joined=reachable,
    )


def opened(plan: Plan) -> OpenPlan:
    assert isinstance(plan, OpenPlan)
    return plan


FLUSHING = {"x_file_stream_transmit_interval": 1, "x_transaction_log_flush_interval": 1}
CLOSING = {"finish_timeout": 600, "finish_timeout_raises": True}
JOINS = "joins"
WRITES = "writes"
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
        ("auto", around(CHILD, inherited=PARENT), JOINS),
        ("shared", around(CHILD, inherited=PARENT), JOINS),
        ("new", around(CHILD, inherited=PARENT), "run1-a2"),
        # remote: a plain run takes no second writer
        ("auto", around(REMOTE_CHILD, inherited=PARENT, elsewhere=True), "run1-a2"),
        ("shared", around(REMOTE_CHILD, inherited=PARENT, elsewhere=True), FAILS),
        ("new", around(REMOTE_CHILD, inherited=PARENT, elsewhere=True), "run1-a2"),
        # ... even where both are in one process, a reusable container's
        ("auto", around(REMOTE_CHILD, inherited=PARENT), "run1-a2"),
        # remote: one that was opened for several writers does
        ("auto", around(REMOTE_CHILD, inherited=SHARED, elsewhere=True), WRITES),
        ("shared", around(REMOTE_CHILD, inherited=SHARED, elsewhere=True), WRITES),
        ("new", around(REMOTE_CHILD, inherited=SHARED, elsewhere=True), "run1-a2"),
        # remote: one without a server cannot be reached
        ("auto", around(REMOTE_CHILD, inherited=OFFLINE, elsewhere=True), "run1-a2"),
        ("shared", around(REMOTE_CHILD, inherited=OFFLINE, elsewhere=True), "run1-a2"),
        ("new", around(REMOTE_CHILD, inherited=OFFLINE, elsewhere=True), "run1-a2"),
        # a plain function: W&B makes the id
        ("auto", around(None), None),
        ("auto", around(None, inherited=PARENT), JOINS),
        ("new", around(None, inherited=PARENT), None),
        ("shared", around(None), FAILS),
        # a configured id: the top-level task's, and the stem of others
        ("auto", around(TOP, context=wandb_config(id="mine")), "mine"),
        ("auto", around(CHILD, context=wandb_config(id="mine")), "mine-a2"),
        ("new", around(CHILD, inherited=PARENT, context=wandb_config(id="mine")), "mine-a2"),
        ("auto", around(CHILD, inherited=PARENT, context=wandb_config(id="mine")), JOINS),
        ("auto", around(None, context=wandb_config(id="mine")), None),
    ],
)
@pytest.mark.parametrize("by", ["decorator", "context"])
def test_plan_follows_the_table(run_mode: Any, where: PlanningContext, expected: str | None, by: str) -> None:
    """The decorator or the context sets the run mode."""
    mode = wandb_config(run_mode=run_mode)
    if by == "context":
        where = replace(where, config=where.config.merged(mode))
    decorator = mode if by == "decorator" else wandb_config()

    if expected == FAILS:
        with pytest.raises(NoParentRunError, match='run_mode="shared"'):
            plan_run(decorator, where)
        return
    plan = plan_run(decorator, where)
    if isinstance(plan, JoinPlan):
        assert expected == JOINS
        assert plan.location == PARENT
    elif isinstance(plan, WriterPlan):
        assert expected == WRITES
        assert plan.location == SHARED
    else:
        assert opened(plan).init.get("id") == expected


def test_decorator_id_opens_that_run() -> None:
    """It is literal, and overrides the parent's run and a configured id."""
    where = around(CHILD, inherited=PARENT, context=wandb_config(id="configured"))

    assert opened(plan_run(wandb_config(id="mine"), where)).init["id"] == "mine"


def test_decorator_id_of_the_parent_run_joins_it() -> None:
    """A process cannot open the same run twice."""
    assert isinstance(plan_run(wandb_config(id=PARENT.id), around(CHILD, inherited=PARENT)), JoinPlan)


def test_decorator_overrides_context() -> None:
    """`config` merges by key, `tags` add up."""
    context = wandb_config(project="c", entity="c", tags=["c"], config={"a": 1, "b": 1})
    decorator = wandb_config(project="d", tags=["d"], config={"b": 2})
    plan = opened(plan_run(decorator, around(context=context)))

    assert (plan.init["project"], plan.init["entity"]) == ("d", "c")
    assert plan.init["tags"] == ["c", "d"]
    assert plan.init["config"] == {"a": 1, "b": 2}


def test_missing_settings_are_left_to_wandb() -> None:
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
def test_group_and_job_type_have_defaults(
    environment: dict[str, str], given: Any, expected: tuple[str | None, str | None]
) -> None:
    """The environment overrides the defaults; the user's values override both."""
    plan = opened(plan_run(wandb_config(**given), around(environment=environment)))

    assert (plan.init.get("group"), plan.init.get("job_type")) == expected


@pytest.mark.parametrize(
    ("environment", "given", "attempt", "expected"),
    [
        ({}, {}, 0, "train-d41d8c"),
        ({}, {}, None, "train-d41d8c"),
        ({}, {}, 1, None),
        ({}, {"name": "mine"}, 0, "mine"),
        ({"WANDB_NAME": "n"}, {}, 0, None),
    ],
)
def test_default_name_is_task_and_action(
    environment: dict[str, str], given: Any, attempt: int | None, expected: str | None
) -> None:
    """A later attempt keeps the name that the run has."""
    task = replace(TOP, action_name="d41d8cd98f00", attempt=attempt)
    plan = opened(plan_run(wandb_config(**given), around(task, environment=environment)))

    assert plan.init.get("name") == expected


@pytest.mark.parametrize(("given", "expected"), [({}, None), ({"log_inputs": True}, {"lr": 0.1})])
def test_inputs_are_read_only_on_request(given: Any, expected: dict[str, float] | None) -> None:
    where = replace(around(), read_inputs=lambda: {"lr": 0.1})

    assert opened(plan_run(wandb_config(**given), where)).inputs == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "allow"),
        ({"resume": "must"}, "must"),
        ({"fork_from": "x?_step=1"}, None),
        ({"resume_from": "x?_step=1"}, None),
    ],
)
def test_retry_continues_its_run(given: Any, expected: str | None) -> None:
    """`resume` is set unless the user sets it."""
    assert opened(plan_run(wandb_config(**given), around())).init.get("resume") == expected


def test_metadata_describes_the_action() -> None:
    """It is left out with `flyte_metadata=False`."""
    task = replace(REMOTE, project="p", domain="d", version="v", url="http://flyte/run1")
    plan = opened(plan_run(wandb_config(), around(task)))

    assert plan.metadata == {
        "run": "run1",
        "action": "a0",
        "task": "train",
        "project": "p",
        "domain": "d",
        "version": "v",
        "attempt": 0,
        "url": "http://flyte/run1",
    }
    assert opened(plan_run(wandb_config(flyte_metadata=False), around(task))).metadata is None


@pytest.mark.parametrize(
    ("task", "environment", "given", "expected"),
    [
        (TOP, {}, {}, {"console": "off"}),
        (TOP, {"WANDB_CONSOLE": "wrap"}, {}, {}),
        (TOP, {}, {"settings": {"console": "redirect"}}, {"console": "redirect"}),
        (REMOTE, {}, {}, FLUSHING),
        (REMOTE, {}, {"host": "http://h/"}, {**FLUSHING, "base_url": "http://h"}),
        (REMOTE, {"WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "9", "WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "9"}, {}, {}),
        (
            REMOTE,
            {},
            {"settings": {"x_file_stream_transmit_interval": 9}},
            {**FLUSHING, "x_file_stream_transmit_interval": 9},
        ),
        # a reusable container
        (replace(REMOTE, has_own_process=False), {}, {}, {**FLUSHING, "console": "off"}),
    ],
)
def test_run_settings_have_defaults_that_users_override(
    task: TaskIdentity, environment: dict[str, str], given: Any, expected: dict[str, Any]
) -> None:
    """Local tasks share a console, so it is not captured."""
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
def test_finish_timeout_has_a_default(environment: dict[str, str], given: Any, expected: float | None) -> None:
    """Everything that the user sets overrides it."""
    plan = opened(plan_run(wandb_config(**given), around(environment=environment)))

    assert plan.settings.get("finish_timeout") == expected


def test_joining_task_adds_tags_and_config() -> None:
    """The child's decorator overrides the run's config."""
    where = around(CHILD, inherited=PARENT, context=wandb_config(config={"a": 1}, tags=["c"]))
    plan = plan_run(wandb_config(config={"b": 2}, tags=["d"], name="no"), where)

    assert plan == JoinPlan(PARENT, RunUpdate(config={"b": 2}, inherited_config={"a": 1}, tags=("c", "d")))


@pytest.mark.parametrize(
    ("given", "environment", "task", "reachable", "expected"),
    [
        ({}, {}, REMOTE, True, "shared"),
        ({}, {}, REMOTE, False, None),
        ({}, {}, TOP, True, None),
        # W&B's own setting decides
        ({"mode": "online"}, {}, REMOTE, True, "online"),
        ({"mode": "shared"}, {}, REMOTE, False, "shared"),
        ({"mode": "disabled"}, {}, REMOTE, True, "disabled"),
        ({}, {"WANDB_MODE": "offline"}, REMOTE, True, None),
        ({}, {"WANDB_MODE": "shared"}, REMOTE, False, None),
    ],
)
def test_run_is_shared_only_if_it_can_have_several_writers(
    given: Any, environment: dict[str, str], task: TaskIdentity, reachable: bool, expected: str | None
) -> None:
    """W&B's shared mode lacks steps and artifacts."""
    plan = opened(plan_run(wandb_config(**given), around(task, reachable=reachable, environment=environment)))
    mode = expected or environment.get("WANDB_MODE")

    assert plan.init.get("mode") == expected
    assert plan.settings.get("x_label") == ("train-a0" if mode == "shared" else None)


def test_second_writer_never_finishes_the_run() -> None:
    """It uses the parent's host, has a label, and does not update the run's state."""
    decorator = wandb_config("elsewhere", "me", name="no", host="http://other", settings={"x_primary": True})
    plan = plan_run(decorator, around(REMOTE_CHILD, inherited=SHARED, elsewhere=True))

    assert isinstance(plan, WriterPlan)
    assert plan.settings == {
        **CLOSING,
        **FLUSHING,
        "base_url": "http://h",
        "x_label": "train-a2",
        "x_primary": False,
        "x_update_finish_state": False,
    }
    assert plan.fallback is None


def test_plain_parent_run_leads_to_a_separate_run() -> None:
    """It is in the parent's group and mode; a notice is logged if the parent's run is online."""
    plain = replace(PARENT, group="g")
    cases: list[tuple[Any, RunLocation]] = [(None, plain), (None, OFFLINE), ("new", OFFLINE)]
    plan, beside_offline, new = (
        opened(plan_run(wandb_config(run_mode=mode), around(REMOTE_CHILD, inherited=inherited, elsewhere=True)))
        for mode, inherited in cases
    )

    assert (plan.init["group"], plan.init.get("mode")) == ("g", None)
    assert 'mode="shared"' in str(plan.notice)
    assert (beside_offline.init["group"], beside_offline.init["mode"], beside_offline.notice) == ("g", "offline", None)
    assert (new.init["group"], new.init.get("mode"), new.notice) == ("run1", None, None)


def test_plain_run_is_never_opened_twice() -> None:
    """A decorator that names the parent's plain run would open it a second time."""
    with pytest.raises(NoParentRunError, match=r"id='run1-a1'.* accepts no second writer"):
        plan_run(wandb_config(id=PARENT.id), around(REMOTE_CHILD, inherited=PARENT, elsewhere=True))


@pytest.mark.parametrize("inherited", [None, SHARED])
def test_plan_has_an_offline_fallback(inherited: RunLocation | None) -> None:
    """If W&B is unavailable, the task opens a separate offline run."""
    where = around(REMOTE_CHILD, inherited=inherited, elsewhere=True)
    plan = plan_run(wandb_config(on_unavailable="offline"), where)

    assert isinstance(plan, OpenPlan | WriterPlan)
    assert plan.fallback is not None
    assert (plan.fallback.init["id"], plan.fallback.init["mode"]) == ("run1-a2", "offline")
    assert plan.fallback.init["group"] == ("g" if inherited else "run1")


def test_run_location_round_trips_through_the_context() -> None:
    """A child reads the location that its parent has passed on."""
    context = {"wandb_project": "p", **PARENT.to_context()}

    assert RunLocation.from_context(context) == PARENT
    assert context["_wandb_run_id"] == PARENT.id
    assert RunLocation.from_context({}) is None
