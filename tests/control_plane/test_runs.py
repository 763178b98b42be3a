"""Runs of several actions on the control plane."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from tests.support import loopback
from tests.support.control_plane.actions import Kind, Link, Phase
from tests.support.control_plane.driver import PROJECT as FLYTE_PROJECT
from tests.support.control_plane.plane import ControlPlane, PlaneError
from tests.support.object_store import ObjectStore

PROJECT = Path(__file__).parent / "project"


@pytest.mark.parametrize("driver_env", [{}, {"_U_USE_ACTIONS": "1"}], ids=["queue", "actions"])
def test_children_run_concurrently_in_their_own_pods(driver_env: dict[str, str], plane: ControlPlane) -> None:
    """A trace is an action without a pod."""
    plane.driver_env = driver_env
    run = plane.run("tasks:family", 1)

    root, first, second, trace = plane.actions(run)
    assert run.result == (28,)
    assert root.outputs == {"o0": 28}
    assert {first.task, second.task} == {"plane.child"}
    assert (trace.kind, trace.task, trace.outputs, trace.attempts) == (Kind.TRACE, "doubled", {"o0": 28}, [])
    assert {action.parent for action in (first, second, trace)} == {root.name}
    assert [action.group for action in (root, first, second, trace)] == ["", "siblings", "siblings", ""]
    assert len({action.last.pid for action in (root, first, second)}) == 3
    assert max(child.last.started for child in (first, second)) < min(child.last.ended for child in (first, second))


def test_child_error_reaches_its_parent(plane: ControlPlane) -> None:
    """A crash too. It fails the run unless the parent handles it."""
    run = plane.run("tasks:parent_of_failures", expect=Phase.FAILED)

    (crashing,) = plane.actions(run, "crashing")
    assert crashing.last.exit_code == 3
    assert crashing.error is not None
    assert "about to crash" in crashing.error.message
    assert f"bore {crashing.error.code}" in run.root.last.stdout
    assert run.root.error is not None
    assert (run.root.error.code, "the child's reason" in run.root.error.message) == ("ValueError", True)


def test_cached_child_runs_once(plane: ControlPlane) -> None:
    """The second call gets the outputs of the first, without a pod."""
    run = plane.run("tasks:twice")

    first, second = plane.actions(run, "now")
    assert run.result == ([first.outputs["o0"]] * 2,)
    assert (first.is_cached, len(first.attempts)) == (False, 1)
    assert (second.is_cached, len(second.attempts)) == (True, 0)


def test_link_variables_are_replaced(plane: ControlPlane) -> None:
    """The link of a child, which its parent creates, has them too."""
    run = plane.run("tasks:linked", context={"k": "outer"})

    (child,) = plane.actions(run, "linked_child")
    for action, context in ((run.root, "outer"), (child, "inner")):
        path = [FLYTE_PROJECT, run.name, "a0", action.name, action.last.pod_name, context]
        assert action.links == (Link("Console", "/".join(["https://console", *path]), "https://console/icon.svg"),)


def test_driver_reads_dir_and_report(plane: ControlPlane) -> None:
    """Both are in the object store."""
    run = plane.run("tasks:writing", then="tasks:read_back")

    files, report = run.result
    assert files == {"a.txt": "a", "deep/b.txt": "b"}
    assert "<b>42</b>" in report
    assert plane.store.list(str(run.root.outputs["o0"])) == {"a.txt": 1, "deep/b.txt": 1}


def test_custom_context_reaches_task_and_child(plane: ControlPlane) -> None:
    run = plane.run("tasks:context", context={"key": "value"})

    assert run.result == ([{"key": "value"}, {"key": "value", "added": "by the parent"}],)


def test_pod_environment_is_clean(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """It contains variables of the plane, task, secrets and run, and none of the test's process."""
    monkeypatch.setenv("WANDB_API_KEY", "the developer's")
    monkeypatch.setenv("FLYTE_OF_TEST", "x")
    plane.pods.env["FROM_PLANE"] = "plane"
    plane.pods.secrets["password"] = "s3cret"
    run = plane.run("tasks:surroundings", env={"FROM_RUN": "run"})

    (env,) = run.result
    given = {"FROM_PLANE": "plane", "FROM_TASK": "task", "FROM_RUN": "run", "PASSWORD": "s3cret"}
    assert given.items() <= env.items()
    assert env["RUN_NAME"] == run.name
    assert not [name for name in env if name.startswith("WANDB_")]
    assert "FLYTE_OF_TEST" not in env


def test_missing_secret_fails_the_task(plane: ControlPlane) -> None:
    """The error names the secret."""
    run = plane.run("tasks:surroundings", expect=Phase.FAILED)

    assert run.root.error is not None
    assert "secret 'password'" in run.root.error.message


def test_notebook_task_is_pickled_and_overridden(plane: ControlPlane) -> None:
    """`task.override(...)` is applied in the driver."""
    run = plane.run("tasks:child", 1, options={"interactive_mode": True}, overrides={"short_name": "another"})

    assert run.result == (2,)
    assert run.root.spec is not None
    assert run.root.spec.short_name == "another"
    assert "--pkl" in run.root.spec.task_template.container.args


@pytest.mark.parametrize("copy_style", ["all", "loaded_modules"])
def test_pods_load_code_from_the_bundle(copy_style: str, tmp_path: Path, object_store: ObjectStore) -> None:
    """The project's folder is not importable otherwise."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "elsewhere.py").write_text(ELSEWHERE)
    with ControlPlane(tmp_path / "plane", store=object_store, root=tmp_path / "project") as plane:
        run = plane.run("elsewhere:where", options={"copy_style": copy_style})

    (folder,) = run.result
    assert Path(folder).resolve().is_relative_to(tmp_path / "plane" / run.root.last.pod_name)


ELSEWHERE = """
import flyte
env = flyte.TaskEnvironment(name="elsewhere")

@env.task
async def where() -> str:
    return __file__
"""


def test_wait_raises_on_an_unexpected_phase(plane: ControlPlane) -> None:
    """The error shows the last output of each pod."""
    with pytest.raises(PlaneError, match=r"ended FAILED, not SUCCEEDED(.|\n)*exit code 3(.|\n)*about to crash"):
        plane.run("tasks:crashing")


def test_failing_driver_raises_with_its_traceback(plane: ControlPlane) -> None:
    with pytest.raises(PlaneError, match=r"before it created a run(.|\n)*no_such_option"):
        plane.run("tasks:child", 1, options={"no_such_option": 1})


def test_plane_leaves_no_processes_and_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with ControlPlane(tmp_path, root=PROJECT) as plane:
        run = plane.start("tasks:sleeping")
        plane.wait_for_output(run.root, "asleep")

    assert set(threading.enumerate()) <= before
    assert not [pid for pid in (run.root.last.pid, run.driver.pid) if Path(f"/proc/{pid}").exists()]
    with pytest.raises(httpx.ConnectError):
        loopback.get(plane.store.endpoint, trust_env=False)
