"""Runs of the ranks of a distributed task: the table of the documentation."""

import re
from dataclasses import replace
from typing import Any

import pytest
from wandb_runtime import NoParentRunError, WandbConfig, wandb_config
from wandb_runtime.lifecycle.planning import plan_run
from wandb_runtime.lifecycle.plans import JoinPlan, NoRunPlan, OpenPlan, Plan, PlanningContext, RunLocation, WriterPlan
from wandb_runtime.tasks.action import TaskIdentity
from wandb_runtime.tasks.distributed import distributed_info

TASK = TaskIdentity("run1", "a0", is_top_level=True, is_local=False, attempt=0, has_own_process=True)
PARENT = RunLocation("run1-a0", "team", "vision", "http://h", mode="shared", group="g")


def torch_elastic(workers: int, per_worker: int) -> list[dict[str, str]]:
    """Return what torch sets for each process."""
    return [
        {
            "RANK": str(worker * per_worker + local),
            "LOCAL_RANK": str(local),
            "WORLD_SIZE": str(workers * per_worker),
            "LOCAL_WORLD_SIZE": str(per_worker),
            "GROUP_RANK": str(worker),
            "GROUP_WORLD_SIZE": str(workers),
            "TORCHELASTIC_RUN_ID": "run1",
        }
        for worker in range(workers)
        for local in range(per_worker)
    ]


def clustered_jax(workers: int) -> list[dict[str, str]]:
    """Return what Flyte's launcher sets for each process."""
    common = {"FLYTE_CLUSTERED_WORKER": "1", "WORLD_SIZE": str(workers), "NNODES": str(workers), "NPROC_PER_NODE": "1"}
    return [{**common, "RANK": str(node), "NODE_RANK": str(node), "LOCAL_RANK": "0"} for node in range(workers)]


def around(environment: dict[str, str], context: WandbConfig | None = None, **changes: Any) -> PlanningContext:
    where = PlanningContext(
        config=context or wandb_config(),
        environment=environment,
        task=TASK,
        short_name="train",
        ranks=distributed_info(environment),
    )
    return replace(where, **changes)


def summary(plan: Plan) -> str:
    """Summarize a plan: the action, the run's id, and its label or group."""
    if isinstance(plan, NoRunPlan):
        return "no run"
    if isinstance(plan, WriterPlan):
        assert plan.settings["x_primary"] is plan.settings["x_update_finish_state"] is False
        return f"writes {plan.location.id} as {plan.settings['x_label']}"
    assert isinstance(plan, OpenPlan)
    if plan.init.get("mode") == "shared":
        return f"opens {plan.init['id']} as {plan.settings['x_label']}"
    assert "x_label" not in plan.settings
    return f"opens {plan.init['id']} in {plan.init['group']}"


ONE, TWO = torch_elastic(1, 2), torch_elastic(2, 2)
JAX = clustered_jax(2)


@pytest.mark.parametrize(
    ("run_mode", "rank_scope", "environments", "expected"),
    [
        (None, None, [{}], ["opens b in run1"]),
        ("new", "worker", torch_elastic(1, 1), ["opens b in run1"]),
        (None, None, ONE, ["opens b in run1", "no run"]),
        (None, "worker", ONE, ["opens b in run1", "no run"]),
        ("auto", "global", TWO, ["opens b in run1", "no run", "no run", "no run"]),
        ("auto", "global", JAX, ["opens b in run1", "no run"]),
        ("auto", "worker", TWO, ["opens b-worker-0 in run1", "no run", "opens b-worker-1 in run1", "no run"]),
        ("auto", "worker", JAX, ["opens b-worker-0 in run1", "opens b-worker-1 in run1"]),
        ("shared", None, ONE, ["opens b as rank-0", "writes b as rank-1"]),
        (
            "shared",
            "global",
            TWO,
            ["opens b as rank-0", "writes b as rank-1", "writes b as rank-2", "writes b as rank-3"],
        ),
        ("shared", "global", JAX, ["opens b as rank-0", "writes b as rank-1"]),
        ("shared", "worker", ONE, ["opens b as rank-0", "writes b as rank-1"]),
        (
            "shared",
            "worker",
            TWO,
            [
                "opens b-worker-0 as rank-0",
                "writes b-worker-0 as rank-1",
                "opens b-worker-1 as rank-2",
                "writes b-worker-1 as rank-3",
            ],
        ),
        ("shared", "worker", JAX, ["opens b-worker-0 as rank-0", "opens b-worker-1 as rank-1"]),
        ("new", None, ONE, ["opens b-rank-0 in b", "opens b-rank-1 in b"]),
        ("new", "global", TWO, [f"opens b-rank-{rank} in b" for rank in range(4)]),
        ("new", "global", JAX, ["opens b-rank-0 in b", "opens b-rank-1 in b"]),
        (
            "new",
            "worker",
            TWO,
            [
                f"opens b-worker-{worker}-rank-{local} in b-worker-{worker}"
                for worker, local in ((0, 0), (0, 1), (1, 0), (1, 1))
            ],
        ),
        ("new", "worker", JAX, ["opens b-worker-0-rank-0 in b-worker-0", "opens b-worker-1-rank-0 in b-worker-1"]),
    ],
)
@pytest.mark.parametrize("base", ["run1-a0", "own", "configured"])
@pytest.mark.parametrize("by", ["decorator", "context"])
def test_ranks_follow_the_table(
    run_mode: Any, rank_scope: Any, environments: list[dict[str, str]], expected: list[str], base: str, by: str
) -> None:
    """For each launcher, whether the decorator or the context sets the modes, and for any id."""
    modes = wandb_config(run_mode=run_mode, rank_scope=rank_scope)
    context = wandb_config(id="configured") if base == "configured" else wandb_config()
    decorator = wandb_config(id="own") if base == "own" else wandb_config()
    if by == "context":
        context = context.merged(modes)
    else:
        decorator = decorator.merged(modes)

    plans = [summary(plan_run(decorator, around(environment, context))) for environment in environments]

    # A word that starts with "b" starts with the base.
    assert plans == [re.sub(r"\bb\b", base, line) for line in expected]


@pytest.mark.parametrize(
    ("run_mode", "expected"),
    [
        ("auto", ["writes run1-a0 as train-a2-rank-0", "no run"]),
        ("shared", ["writes run1-a0 as train-a2-rank-0", "writes run1-a0 as train-a2-rank-1"]),
        ("new", ["opens run1-a2-rank-0 in run1-a2", "opens run1-a2-rank-1 in run1-a2"]),
    ],
)
def test_ranks_join_a_shared_parent_run(run_mode: Any, expected: list[str]) -> None:
    """Each has a different label; `new` is as without a parent."""
    child: dict[str, Any] = {"inherited": PARENT, "task": replace(TASK, action_name="a2", is_top_level=False)}
    plans = [plan_run(wandb_config(run_mode=run_mode), around(environment, **child)) for environment in ONE]

    assert [summary(plan) for plan in plans] == expected


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_do_not_join_a_plain_parent_run(rank: int) -> None:
    """`shared` raises; `auto` opens a run in the parent's group."""
    where = around(ONE[rank], inherited=replace(PARENT, mode="online"))

    with pytest.raises(NoParentRunError, match="accepts no second writer"):
        plan_run(wandb_config(run_mode="shared"), where)
    assert summary(plan_run(wandb_config(), where)) == ("no run" if rank else "opens run1-a0 in g")


@pytest.mark.parametrize(
    ("context", "environment", "inherited"),
    [
        (wandb_config(mode="offline"), {}, None),
        (wandb_config(mode="disabled"), {}, None),
        (wandb_config(), {"WANDB_MODE": "offline"}, None),
        (wandb_config(), {}, replace(PARENT, mode="offline")),
    ],
)
def test_offline_ranks_share_no_run(
    context: WandbConfig, environment: dict[str, str], inherited: RunLocation | None
) -> None:
    """Each rank has a separate run, as with `new`."""
    plans = [
        plan_run(wandb_config(run_mode="shared"), around({**ranks, **environment}, context, inherited=inherited))
        for ranks in ONE
    ]

    assert [summary(plan) for plan in plans] == [f"opens run1-a0-rank-{rank} in run1-a0" for rank in (0, 1)]


@pytest.mark.parametrize(
    ("run_mode", "inherited", "expected"),
    [
        ("auto", None, ["opens run1-a0 in run1", None]),
        ("auto", PARENT, ["opens run1-a0 in g", None]),
        ("shared", None, ["opens run1-a0-rank-0 in run1-a0", "opens run1-a0-rank-1 in run1-a0"]),
        ("shared", PARENT, ["opens run1-a0-rank-0 in run1-a0", "opens run1-a0-rank-1 in run1-a0"]),
        ("new", None, ["opens run1-a0-rank-0 in run1-a0", "opens run1-a0-rank-1 in run1-a0"]),
    ],
)
def test_offline_fallbacks_differ(run_mode: Any, inherited: RunLocation | None, expected: list[str | None]) -> None:
    """If W&B is unavailable, no two ranks open the same run."""
    decorator = wandb_config(run_mode=run_mode, on_unavailable="offline")
    plans = [plan_run(decorator, around(environment, inherited=inherited)) for environment in ONE]
    fallbacks = [plan.fallback if isinstance(plan, OpenPlan | WriterPlan) else None for plan in plans]

    assert [summary(fallback) if fallback else None for fallback in fallbacks] == expected
    assert {fallback.init["mode"] for fallback in fallbacks if fallback} == {"offline"}


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ({}, {}, "run1-a0"),
        ({}, {"WANDB_RUN_GROUP": "theirs"}, None),
        ({"group": "mine"}, {"WANDB_RUN_GROUP": "theirs"}, "mine"),
    ],
)
def test_group_of_ranks_with_separate_runs(given: Any, environment: dict[str, str], expected: str | None) -> None:
    """It has the precedence of the default group."""
    plan = plan_run(wandb_config(run_mode="new", **given), around({**ONE[1], **environment}))

    assert isinstance(plan, OpenPlan)
    assert plan.init.get("group") == expected


def test_second_writers_use_the_project_and_server_of_the_first() -> None:
    """This holds with `mode="online"` too."""
    decorator = wandb_config("vision", "team", host="http://h", run_mode="shared", mode="online", config={"a": 1})
    first, second = (plan_run(decorator, around(environment)) for environment in ONE)

    assert isinstance(first, OpenPlan)
    assert isinstance(second, WriterPlan)
    assert (first.init["project"], first.init["entity"], first.host) == ("vision", "team", "http://h")
    assert (first.init["mode"], first.init["resume"]) == ("shared", "allow")
    assert second.location == RunLocation("run1-a0", "team", "vision", "http://h", mode="shared")
    ours = {"x_label": "rank-1", "x_primary": False, "x_update_finish_state": False}
    assert second.settings == {**first.settings, **ours}
    assert (second.update.config, second.update.tags) == ({}, ())


def test_local_ranks_share_a_run_only_by_a_given_id() -> None:
    """Each process of the launcher is a separate Flyte run."""
    local = replace(TASK, is_local=True)
    auto, shared, common = (
        [summary(plan_run(decorator, around(ranks, task=local))) for ranks in ONE]
        for decorator in (wandb_config(), wandb_config(run_mode="shared"), wandb_config(run_mode="shared", id="mine"))
    )

    assert auto == ["opens run1-a0 in run1", "no run"]
    assert shared == ["opens run1-a0-rank-0 in run1-a0", "opens run1-a0-rank-1 in run1-a0"]
    assert common == ["opens mine as rank-0", "writes mine as rank-1"]


def test_local_child_of_rank_0_joins_its_parent() -> None:
    """Both are in one process."""
    where = around(ONE[0], task=replace(TASK, is_local=True), inherited=PARENT, is_open_in_process=True)

    assert isinstance(plan_run(wandb_config(), where), JoinPlan)
