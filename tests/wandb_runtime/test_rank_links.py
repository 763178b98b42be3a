"""URLs of the links of distributed tasks."""

from types import SimpleNamespace
from typing import Any

import flyte
import pytest
from flyte.clustered import ClusteredTaskEnvironment
from wandb_runtime import Wandb, WandbConfig, wandb_config, wandb_init
from wandb_runtime.lifecycle.plans import RunLocation
from wandb_runtime.tasks.distributed import DeclaredSize, declared_size

HOST = "http://h"
PAGES = f"{HOST}/e/p/"
PARENT = RunLocation("run1-a0", "team", "vision", "http://parent", mode="shared")


@pytest.fixture(autouse=True)
def no_wandb_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_BASE_URL", "WANDB_APP_URL", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_RUN_GROUP"):
        monkeypatch.delenv(name, raising=False)


def task_links(replicas: int, per_worker: int, decorator: WandbConfig) -> tuple[flyte.Link, ...]:
    """Return the links of a decorated task of flyte.clustered."""
    env = ClusteredTaskEnvironment(name="links", replicas=replicas, nproc_per_node=per_worker)

    @env.task
    def train() -> None: ...

    options: Any = {name: value for name in decorator.fields if (value := getattr(decorator, name)) is not None}
    wandb_init(**options)(train)
    return train.links


def location(link: flyte.Link, context: dict[str, str], *, local: bool = False) -> str:
    """Return the link of the remote top-level action "a0" of the run "run1"."""
    return link.get_link(
        run_name="run1",
        project="flyte-project",
        domain="development",
        context=context,
        parent_action_name="a0",
        action_name="a0",
        pod_name="localhost" if local else "{{.podName}}",
    )


BASE = wandb_config("p", "e", host=HOST)


@pytest.mark.parametrize(
    ("size", "decorator", "context", "expected"),
    [
        ((2, 2), {}, {}, ["runs/run1-a0"]),
        ((2, 2), {"run_mode": "shared"}, {}, ["runs/run1-a0"]),
        ((2, 2), {"run_mode": "new"}, {}, ["groups/run1-a0"]),
        ((2, 2), {"rank_scope": "worker"}, {}, ["runs/run1-a0-worker-0", "runs/run1-a0-worker-1"]),
        (
            (2, 1),
            {"rank_scope": "worker", "run_mode": "new"},
            {},
            ["groups/run1-a0-worker-0", "groups/run1-a0-worker-1"],
        ),
        # one worker, one process
        ((1, 2), {"rank_scope": "worker"}, {}, ["runs/run1-a0"]),
        ((1, 2), {"rank_scope": "worker", "run_mode": "new"}, {}, ["groups/run1-a0-worker-0"]),
        ((1, 1), {"rank_scope": "worker", "run_mode": "new"}, {}, ["runs/run1-a0"]),
        # set by the context, after the number of links was decided
        ((2, 2), {}, {"run_mode": "new"}, ["groups/run1-a0"]),
        ((2, 2), {}, {"rank_scope": "worker"}, ["runs/run1-a0-worker-0"]),
        ((2, 2), {}, {"rank_scope": "worker", "run_mode": "new"}, ["groups/run1-a0-worker-0"]),
        ((2, 2), {"run_mode": "new"}, {"run_mode": "auto"}, ["groups/run1-a0"]),
        # ids and groups of the user
        ((2, 2), {"id": "mine", "run_mode": "new"}, {}, ["groups/mine"]),
        ((2, 2), {"rank_scope": "worker"}, {"id": "mine"}, ["runs/mine-worker-0", "runs/mine-worker-1"]),
        ((2, 2), {"run_mode": "new", "group": "our group"}, {"group": "theirs"}, ["groups/our%20group"]),
        ((2, 2), {"run_mode": "new"}, {"group": "theirs"}, ["groups/theirs"]),
        ((2, 2), {"group": "mine"}, {}, ["runs/run1-a0"]),
    ],
)
def test_links_name_the_runs_of_the_ranks(
    size: tuple[int, int], decorator: dict[str, Any], context: dict[str, Any], expected: list[str]
) -> None:
    """With the scope "worker" each worker has one link."""
    links = task_links(*size, BASE.merged(wandb_config(**decorator)))

    assert [location(link, wandb_config(**context)) for link in links] == [PAGES + page for page in expected]
    names = [f"Weights & Biases worker {worker}" for worker in range(len(links))]
    assert [link.name for link in links] == (names if len(links) > 1 else ["Weights & Biases"])


def test_environment_overrides_the_group_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's group overrides both."""
    monkeypatch.setenv("WANDB_RUN_GROUP", "environment")
    (link,) = task_links(2, 2, BASE.merged(wandb_config(run_mode="new")))

    assert location(link, {}) == PAGES + "groups/environment"
    assert location(link, wandb_config(group="mine")) == PAGES + "groups/mine"


def test_local_task_has_the_link_of_one_process() -> None:
    """Locally Flyte runs one process."""
    links = task_links(2, 2, BASE.merged(wandb_config(run_mode="new", rank_scope="worker")))

    assert {location(link, {}, local=True) for link in links} == {PAGES + "runs/run1-a0"}


def test_joining_ranks_link_to_the_parent_run() -> None:
    """The ids of the table apply to `new` only."""
    joining, opening = (task_links(2, 2, BASE.merged(wandb_config(run_mode=mode)))[0] for mode in ("shared", "new"))

    assert location(joining, PARENT.to_context()) == "http://parent/team/vision/runs/run1-a0"
    assert location(opening, PARENT.to_context()) == PAGES + "groups/run1-a0"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (Wandb(HOST, "p", "e", "new"), "runs/run1-a0"),
        (Wandb(HOST, "p", "e", "new", rank_scope="global"), "groups/run1-a0"),
        (Wandb(HOST, "p", "e", rank_scope="global"), "runs/run1-a0"),
        (Wandb(HOST, "p", "e", rank_scope="worker"), "runs/run1-a0-worker-0"),
        (Wandb(HOST, "p", "e", "new", rank_scope="worker"), "groups/run1-a0-worker-0"),
    ],
)
def test_rank_scope_of_a_link_implies_several_ranks(link: Wandb, expected: str) -> None:
    """The link itself does not know the task."""
    assert location(link, {}) == PAGES + expected


def test_placeholders_in_a_group_are_not_encoded() -> None:
    """The backend fills them in later."""
    (link,) = task_links(2, 2, BASE.merged(wandb_config(run_mode="new")))
    names = {"run_name": "{{.runName}}", "parent_action_name": "{{.actionName}}", "action_name": "{{.actionName}}"}

    found = link.get_link(**names, project="", domain="", context={}, pod_name="{{.podName}}")
    assert found == PAGES + "groups/{{.runName}}-{{.actionName}}"


@pytest.mark.parametrize(
    ("plugin_config", "expected"),
    [
        (None, (1, 1)),
        (SimpleNamespace(nnodes=2, nproc_per_node=4), (2, 8)),
        (SimpleNamespace(nnodes="3", nproc_per_node=1), (3, 3)),
        (SimpleNamespace(nnodes="2:4", nproc_per_node=2), (4, 8)),
        (SimpleNamespace(nnodes="all", nproc_per_node=2), (1, 1)),
        (SimpleNamespace(nnodes=2, nproc_per_node="gpu"), (1, 1)),
        (SimpleNamespace(nnodes=0, nproc_per_node=0), (1, 1)),
        (SimpleNamespace(replicas=2), (1, 1)),
        (SimpleNamespace(settings=None), (1, 1)),
    ],
)
def test_declared_size_is_read_from_the_plugin_config(plugin_config: object, expected: tuple[int, int]) -> None:
    """Configurations of other plugins count as one process."""
    assert declared_size(plugin_config) == DeclaredSize(*expected)
