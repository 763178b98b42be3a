"""URLs of run links."""

from dataclasses import replace
from typing import Any

import pytest
from wandb_runtime import Wandb, wandb_config
from wandb_runtime.lifecycle.plans import RunLocation

PARENT = RunLocation("run1-a1", "team", "vision", "http://parent")
SHARED = replace(PARENT, mode="shared")
HOST = "http://h"


@pytest.fixture(autouse=True)
def no_wandb_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_BASE_URL", "WANDB_APP_URL", "WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def link(to: Wandb, *, context: dict[str, str] | None = None, child: bool = False, **changes: Any) -> str:
    """Return the link of the local action "a2" of the run "run1": top-level, or a child of "a1"."""
    arguments: dict[str, Any] = {
        "run_name": "run1",
        "project": "flyte-project",
        "domain": "development",
        "context": context or {},
        "parent_action_name": "a1" if child else "run1",
        "action_name": "a2",
        "pod_name": "localhost",
    }
    return to.get_link(**{**arguments, **changes})


REMOTE = {
    "run_name": "{{.runName}}",
    "parent_action_name": "{{.actionName}}",
    "action_name": "{{.actionName}}",
    "pod_name": "{{.podName}}",
}


@pytest.mark.parametrize(
    ("to", "context", "environment", "expected"),
    [
        (Wandb(HOST, "p", "e"), {}, {}, "http://h/e/p/runs/run1-a2"),
        (Wandb(HOST + "/", "p", "e"), {}, {}, "http://h/e/p/runs/run1-a2"),
        (Wandb(HOST + "/sub/path/", "p", "e"), {}, {}, "http://h/sub/path/e/p/runs/run1-a2"),
        (Wandb(HOST, "p", "e", id="mine"), {}, {}, "http://h/e/p/runs/mine"),
        (Wandb(), wandb_config("p", "e", host=HOST), {}, "http://h/e/p/runs/run1-a2"),
        (Wandb(HOST, "q"), wandb_config("p", "e", host="http://x"), {"WANDB_ENTITY": "z"}, "http://h/e/q/runs/run1-a2"),
        (Wandb(), {}, {"WANDB_BASE_URL": HOST, "WANDB_ENTITY": "e", "WANDB_PROJECT": "p"}, "http://h/e/p/runs/run1-a2"),
        (Wandb(HOST, "p", "e"), {}, {"WANDB_APP_URL": "http://app/"}, "http://app/e/p/runs/run1-a2"),
        (Wandb(None, "p", "e"), {}, {}, "https://forge.coreweave.com/wandb/e/p/runs/run1-a2"),
        (Wandb("https://api.corp.com", "p", "e"), {}, {}, "https://app.corp.com/e/p/runs/run1-a2"),
        (Wandb(HOST, "my project", "größe"), {}, {}, "http://h/gr%C3%B6%C3%9Fe/my%20project/runs/run1-a2"),
        (Wandb(HOST, "p"), {}, {}, "http://h"),
        (Wandb(HOST, None, "e"), {}, {}, "http://h/e"),
        (Wandb(HOST, "p", "e"), wandb_config(id="mine"), {}, "http://h/e/p/runs/mine"),
        # Without a parent's run the link still leads to a run.
        (Wandb(HOST, "p", "e", run_mode="shared"), {}, {}, "http://h/e/p/runs/run1-a2"),
    ],
)
def test_link_of_a_top_level_task_names_its_run(
    to: Wandb, context: dict[str, str], environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decorator wins over the context, and the context over the environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert link(to, context=context) == expected


@pytest.mark.parametrize(
    ("to", "context", "expected"),
    [
        (Wandb(HOST, "p", "e"), {}, "http://h/e/p/runs/run1-a2"),
        (Wandb(HOST, "p", "e"), PARENT.to_context(), "http://parent/team/vision/runs/run1-a1"),
        (Wandb(run_mode="shared"), PARENT.to_context(), "http://parent/team/vision/runs/run1-a1"),
        (Wandb(HOST, "p", "e", "new"), PARENT.to_context(), "http://h/e/p/runs/run1-a2"),
        (Wandb(HOST, "p", "e"), {**PARENT.to_context(), "wandb_run_mode": "new"}, "http://h/e/p/runs/run1-a2"),
        (Wandb(HOST, "p", "e", id="mine"), PARENT.to_context(), "http://h/e/p/runs/mine"),
        (Wandb(HOST, "p", "e"), wandb_config(id="mine"), "http://h/e/p/runs/mine-a2"),
    ],
)
def test_link_of_a_child_names_the_run_it_uses(to: Wandb, context: dict[str, str], expected: str) -> None:
    """This is the parent's run if the child reuses it, else its own."""
    assert link(to, context=context, child=True) == expected


@pytest.mark.parametrize(
    ("context", "changes", "expected"),
    [
        ({}, REMOTE, "http://h/e/p/runs/{{.runName}}-{{.actionName}}"),
        (wandb_config(id="mine"), REMOTE, "http://h/e/p/runs/mine"),
        ({}, {**REMOTE, "run_name": "run1", "parent_action_name": "a0"}, "http://h/e/p/runs/run1-{{.actionName}}"),
        (
            wandb_config(id="mine"),
            {**REMOTE, "run_name": "run1", "parent_action_name": "a0"},
            "http://h/e/p/runs/mine-{{.actionName}}",
        ),
        # A remote parent's run that takes writers is the child's too.
        (
            SHARED.to_context(),
            {**REMOTE, "run_name": "run1", "parent_action_name": "a0"},
            "http://parent/team/vision/runs/run1-a1",
        ),
        # A plain run accepts no second writer: the child opens another one.
        (
            PARENT.to_context(),
            {**REMOTE, "run_name": "run1", "parent_action_name": "a0"},
            "http://h/e/p/runs/run1-{{.actionName}}",
        ),
    ],
)
def test_placeholders_are_not_encoded(context: dict[str, str], changes: dict[str, Any], expected: str) -> None:
    """The backend fills them in later."""
    assert link(Wandb(HOST, "p", "e"), context=context, **changes) == expected


@pytest.mark.parametrize("context", [{"_wandb_run": "no json"}, {"_wandb_run": "{}"}, {"wandb_run_mode": "sometimes"}])
def test_get_link_never_raises(context: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception here would break the submission of the task."""
    monkeypatch.setenv("WANDB_BASE_URL", HOST)

    assert link(Wandb(), context=context) == HOST


def test_icon_needs_no_network() -> None:
    """It is a data URI."""
    assert Wandb().icon_uri.startswith("data:image/svg+xml,")
    assert (Wandb().name, Wandb(name="mine").name) == ("Weights & Biases", "mine")


@pytest.mark.parametrize("variable", ["WANDB_BASE_URL", "WANDB_APP_URL", None])
def test_link_has_no_password(variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody can see it."""
    secret = "https://api:the-key@wandb.example.com"
    if variable is not None:
        monkeypatch.setenv(variable, secret)
    to = Wandb(host=None if variable else secret, entity="e", project="p")

    assert link(to) == "https://wandb.example.com/e/p/runs/run1-a2"
