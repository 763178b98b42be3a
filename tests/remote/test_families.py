"""Runs of parents and children in separate pods: joining, opening, and several writers of one run."""

from __future__ import annotations

from pathlib import Path

from flyteplugins.wandb import wandb_config
from wandb_devserver import DevServer, RunRecord

from tests.remote.support import CONTEXT, PROJECT, link_of, logged, run_of
from tests.support.control_plane.actions import Phase
from tests.support.control_plane.plane import ControlPlane


def labels(run: RunRecord) -> set[str]:
    """Return the writer labels that W&B puts before each `here is ...` line."""
    return {line.partition(" here is ")[0] for line in run.console if " here is " in line}


def test_parent_and_descendants_share_one_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The run has all rows, all summary keys, a label for each writer and one state."""
    del plane.pods.env["WANDB_BASE_URL"]
    plane.pods.env["FAMILY_HOST"] = plane.driver_env["FAMILY_HOST"] = wandb_devserver.url
    flyte_run = plane.run("families:family")

    (run,) = wandb_devserver.runs()
    (ids,) = flyte_run.result
    everybody = {
        "parent", "parent again", "joining", "sharing", "below", "middle", "child of middle", "failing"
    }  # fmt: skip
    assert run.id == f"{flyte_run.name}-a0"
    assert set(ids["one"]) == {run.id}
    assert [name for name in everybody if logged(run, name) != [1]] == []
    assert len(run.history) == len(everybody)
    assert everybody <= run.summary.keys()
    assert (run.state, run.exit_code) == ("finished", 0)
    assert (run.name, run.group, run.job_type) == ("a family", "families", "family")
    assert set(run.tags) == {"family", "joining"}
    assert (run.config["parent"], run.config["joining"]) == (1, 1)
    assert isinstance(run.config["flyte"], dict)
    assert run.config["flyte"]["action"] == "a0"
    decorated = [action for action in plane.actions(flyte_run) if action.task != "families.between"]
    assert labels(run) == {f"[{action.task.removeprefix('families.')}-{action.name}]" for action in decorated}
    assert {link_of(action) for action in decorated} == {run.url}


def test_children_can_open_their_own_runs(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """A configured id is the parent's and the prefix of its children's; an id on the decorator is literal."""
    context = wandb_config(project="remote", entity="local", id="configured", tags=["context"])
    flyte_run = plane.run("families:parent_of_new", context=context)

    (ids,) = flyte_run.result
    by_name = {action.name: action for action in plane.actions(flyte_run)}
    assert (ids["parent"], ids["own"], ids["mode"]) == ("configured", "own-id", "online")
    assert ids["first"] != ids["second"]
    assert {ids["first"].removeprefix("configured-"), ids["second"].removeprefix("configured-")} <= by_name.keys()
    runs = {name: wandb_devserver.run(f"{PROJECT}/{ids[name]}") for name in ("parent", "first", "second", "own")}
    assert {name: logged(run, name) for name, run in runs.items()} == {name: [1] for name in runs}
    assert runs["parent"].history[0]["_step"] == 5
    assert {run.state for run in runs.values()} == {"finished"}
    assert [runs[name].tags for name in ("parent", "first", "own")] == [
        ["context", "parent"], ["context", "opening"], ["context"]
    ]  # fmt: skip
    assert [runs[name].group for name in ("parent", "first", "own")] == ["families", flyte_run.name, flyte_run.name]
    assert {link_of(action) for action in by_name.values()} == {run.url for run in runs.values()}


def test_online_mode_has_one_writer(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Children with `auto` open runs next to the parent's; `shared` raises."""
    flyte_run = plane.run("families:parent_of_one_writer", context=CONTEXT)

    (result,) = flyte_run.result
    helping, sharing, opening = (plane.action(flyte_run, name) for name in ("helping", "sharing", "opening"))
    beside, new = run_of(helping, wandb_devserver), run_of(opening, wandb_devserver)
    assert (result["helping"], result["opening"]) == (beside.id, new.id)
    assert 'mode="shared"' in result["sharing"]
    assert "here is" not in sharing.last.stdout
    assert (beside.group, logged(beside, "helping"), beside.state) == ("families", [1], "finished")
    assert [link_of(action) for action in (helping, opening)] == [beside.url, new.url]
    assert (helping.last.stdout + helping.last.stderr).count("accepts no second writer") == 1
    parent = run_of(flyte_run.root, wandb_devserver)
    assert [(row["_step"], row["parent"]) for row in parent.history] == [(5, 1)]
    assert parent.state == "finished"


def test_shared_mode_joins_without_a_visible_call(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Where the parent's code does not show the child, `shared` joins; `new` opens a run as always."""
    flyte_run = plane.run("families:parent_of_unseen", context=CONTEXT)

    root, unseen, opening = (plane.action(flyte_run, name) for name in ("parent_of_unseen", "joining", "opening"))
    run, new = run_of(root, wandb_devserver), run_of(opening, wandb_devserver)
    assert flyte_run.result == ([run.id, run.id, new.id],)
    assert [logged(run, name) for name in ("parent", "joining", "opening")] == [[1], [1], []]
    assert (logged(new, "opening"), new.group) == ([1], flyte_run.name)
    assert {run.state, new.state} == {"finished"}
    assert [link_of(action) for action in (root, unseen, opening)] == [run.url, run.url, new.url]


def test_children_of_an_offline_parent_are_offline(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """In its group."""
    flyte_run = plane.run("families:parent_offline", context=CONTEXT)

    assert flyte_run.result == (["offline families"] * 2,)
    assert wandb_devserver.runs() == []


def test_failing_parent_fails_the_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Its children succeed. A pickled parent finds its child through a helper and a dictionary."""
    flyte_run = plane.run("notebook:falling", context=CONTEXT, options={"interactive_mode": True}, expect=Phase.FAILED)

    (run,) = wandb_devserver.runs()
    assert flyte_run.root.error is not None
    assert "the parent's own" in flyte_run.root.error.message
    assert (run.state, run.exit_code) == ("failed", 1)
    assert [logged(run, name) for name in ("parent", "child", "child of child")] == [[1], [1], [1]]


def test_retries_of_parent_and_child_write_one_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """It has the rows of all attempts."""
    flyte_run = plane.run("families:unsteady_parent", context=CONTEXT)

    (run,) = wandb_devserver.runs()
    assert flyte_run.result == (run.id,)
    assert (logged(run, "parent_attempt"), logged(run, "child_attempt")) == ([0, 1], [0, 1])
    assert (run.state, run.exit_code) == ("finished", 0)
    assert isinstance(run.config["flyte"], dict)
    assert run.config["flyte"]["attempt"] == 1


def test_stopped_child_leaves_the_run_running(plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """SIGTERM of a child does not preempt the run."""
    flyte_run = plane.run("families:outliving", str(tmp_path / "mark"), context=CONTEXT)

    (run,) = wandb_devserver.runs()
    assert [logged(run, name) for name in ("parent", "endless", "end")] == [[1], [1], [1]]
    assert plane.action(flyte_run, "endless").last.exit_code == 143
    assert (run.state, run.exit_code) == ("finished", 0)


def test_abort_preempts_the_shared_run(plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """It has all rows, whichever task is stopped first."""
    plane.pods.grace = 30
    flyte_run = plane.start("families:aborted", str(tmp_path / "mark"), context=CONTEXT)
    child = plane.action(flyte_run, "endless")
    plane.wait_for_output(child, "here is endless")
    plane.abort(flyte_run)
    plane.wait(flyte_run, expect=Phase.ABORTED)

    (run,) = wandb_devserver.runs()
    assert [logged(run, name) for name in ("parent", "endless")] == [[1], [1]]
    assert (run.state, run.exit_code) == ("preempted", 143)
    assert {flyte_run.root.last.exit_code, child.last.exit_code} == {143}
