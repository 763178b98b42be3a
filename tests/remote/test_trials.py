"""Trials as tasks in remote mode: each is an action, in its own pod."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from flyteplugins.wandb import wandb_config, wandb_sweep_config
from wandb_devserver import DevServer, Fault, RunRecord, SweepRecord

from tests.e2e.support import set_sweep_state
from tests.remote.support import link_of, logged
from tests.support.control_plane.actions import Action, Phase
from tests.support.control_plane.plane import ControlPlane

CONFIG = wandb_config(project="remote", entity="team")
METRIC = {"name": "loss", "goal": "minimize"}
PROJECT = "team/remote"


def grid(cases: int, folder: Path | None = None, **options: object) -> dict[str, str]:
    parameters: dict[str, object] = {"case": {"values": list(range(cases))}}
    if folder is not None:
        parameters["folder"] = {"value": str(folder)}
    return {**CONFIG, **wandb_sweep_config(method="grid", metric=METRIC, parameters=parameters, **options)}  # type: ignore[arg-type]


def only_sweep(server: DevServer) -> SweepRecord:
    (sweep,) = server.sweeps(PROJECT)
    return sweep


def attempt_of(run: RunRecord) -> object:
    described = run.config["flyte"]
    assert isinstance(described, dict)
    return described["attempt"]


def case_of(action: Action, server: DevServer) -> int:
    run_id = link_of(action).rpartition("/")[2]
    case = server.run(f"{PROJECT}/{run_id}").config["case"]
    assert isinstance(case, int)
    return case


def test_trials_are_actions_that_may_fail_be_killed_and_be_retried(
    plane: ControlPlane, wandb_devserver: DevServer
) -> None:
    """Twelve trials, four at once, each with a link to its run; a retry continues the run."""
    flyte_run = plane.run("trials:search", "ending", 4, context=grid(12))

    actions = plane.actions(flyte_run, "ending")
    names = {action.spec.short_name for action in actions if action.spec}
    assert names == {f"trial-{number}" for number in range(1, 13)}
    assert {action.group for action in actions} == {"sweep-trials"}
    runs = {run.config["case"]: run for run in only_sweep(wandb_devserver).trials}
    by_case = {case_of(action, wandb_devserver): action for action in actions}
    assert set(runs) == set(by_case) == set(range(12))
    assert all(link_of(action).endswith(f"{PROJECT}/runs/{runs[case].id}") for case, action in by_case.items())

    failed = {case for case, run in runs.items() if run.state != "finished"}
    assert failed == {1, 3} == {case for case, action in by_case.items() if action.phase is Phase.FAILED}
    assert {runs[case].state for case in failed} == {"failed"}
    assert [attempt_of(runs[case]) for case in (0, 2, 3, 4)] == [0, 1, 1, 1]
    assert [logged(runs[case], "loss") for case in (0, 4)] == [[0], [4, 4]]
    assert flyte_run.result[0]["counts"] == str({"finished": 10, "failed": 2})
    starts = [(action.attempts[0].started, 1) for action in actions]
    ends = [(action.last.ended, -1) for action in actions]
    at_once = peak = 0
    for _, change in sorted(starts + ends):
        at_once += change
        peak = max(peak, at_once)
    assert peak <= 4


def test_retried_controller_continues_its_trials(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """It is killed while one trial has ended and another runs: none runs twice, and all end."""
    flyte_run = plane.start("trials:search", "waiting", 2, context=grid(4, tmp_path))
    plane.wait_for("three trials", lambda: len(plane.actions(flyte_run, "waiting")) == 2)
    first, second = plane.actions(flyte_run, "waiting")
    for action in (first, second):
        plane.wait_for_output(action, "trial runs")
    (tmp_path / str(case_of(first, wandb_devserver))).touch()
    plane.wait_for("the end of a trial", lambda: first.phase.is_final)
    plane.kill(flyte_run.root)
    plane.wait_for("the second attempt", lambda: len(flyte_run.root.attempts) == 2)
    for case in range(4):
        (tmp_path / str(case)).touch()
    plane.wait(flyte_run)

    assert [len(action.attempts) for action in plane.actions(flyte_run, "waiting")] == [1, 1, 1, 1]
    trials = only_sweep(wandb_devserver).trials
    assert {run.state for run in trials} <= {"finished", "failed", "crashed"}
    assert Counter(run.config["case"] for run in trials if run.state == "finished") == Counter(range(4))
    assert all(len(logged(run, "loss")) == 4 for run in trials if run.state == "finished")


def test_trial_that_a_killed_controller_has_not_recorded_is_failed(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """W&B has assigned it; the response was lost, and the controller killed before it requested it again."""
    wandb_devserver.faults.add(Fault("graphql", operation="Heartbeat", drop=True, applied=True))
    again = wandb_devserver.faults.add(Fault("graphql", operation="Heartbeat", delay=60, status=503))
    for case in range(3):
        (tmp_path / str(case)).touch()
    flyte_run = plane.start("trials:search", "waiting", 1, context=grid(3, tmp_path))
    wandb_devserver.faults.wait(again)
    (lost,) = only_sweep(wandb_devserver).trials
    assert (lost.state, plane.actions(flyte_run, "waiting")) == ("pending", [])
    plane.kill(flyte_run.root)
    wandb_devserver.faults.clear()
    plane.wait(flyte_run)

    trials = {run.id: run for run in only_sweep(wandb_devserver).trials}
    assert trials.pop(lost.id).state == "failed"
    assert {run.state for run in trials.values()} == {"finished"}
    assert Counter(run.config["case"] for run in trials.values()) == Counter({1, 2})
    assert {link_of(action).rpartition("/")[2] for action in plane.actions(flyte_run, "waiting")} == set(trials)


def test_trials_with_equal_parameters_keep_their_actions_in_a_retry(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """Flyte tells such actions apart only by the order of their calls: each trial has the outcome of its run."""
    parameters = {"case": {"value": 0}, "folder": {"value": str(tmp_path / "files")}}
    sweep = wandb_sweep_config(method="random", metric=METRIC, parameters=parameters, run_cap=4)
    flyte_run = plane.start("trials:search", "deciding", 4, context={**CONFIG, **sweep})
    plane.wait_for("four trials", lambda: len(plane.actions(flyte_run, "deciding")) == 4)
    actions = plane.actions(flyte_run, "deciding")
    for action in actions:
        plane.wait_for_output(action, "trial 0 runs")
    plane.kill(flyte_run.root)
    plane.wait_for("the second attempt", lambda: len(flyte_run.root.attempts) == 2)
    runs = {action.spec.short_name: link_of(action).rpartition("/")[2] for action in actions if action.spec}
    (tmp_path / "files").mkdir()
    for name, run_id in runs.items():
        (tmp_path / "files" / f".{run_id}").write_text("fail" if name in ("trial-1", "trial-3") else "finish")
        (tmp_path / "files" / f".{run_id}").rename(tmp_path / "files" / run_id)
    (result,) = plane.wait(flyte_run).result

    assert json.loads(result["runs"]) == runs
    assert [trial for trial in runs if f"'{trial}'" in result["errors"]] == [
        trial for trial in runs if trial in ("trial-1", "trial-3")
    ]
    assert [len(action.attempts) for action in plane.actions(flyte_run, "deciding")] == [1, 1, 1, 1]
    states = {run.id: run.state for run in only_sweep(wandb_devserver).trials}
    assert {name: states[run_id] for name, run_id in runs.items()} == {
        name: "failed" if name in ("trial-1", "trial-3") else "finished" for name in runs
    }


def test_trials_follow_the_state_of_the_sweep(plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """While it is paused none starts; early termination and deletion end what they have to."""
    context = grid(3, tmp_path, early_terminate={"type": "hyperband", "min_iter": 2})
    flyte_run = plane.start("trials:search", "waiting", 1, context=context)
    first = plane.action(flyte_run, "waiting")
    plane.wait_for_output(first, "trial runs")
    path = f"{PROJECT}/{only_sweep(wandb_devserver).id}"
    set_sweep_state(path, "PAUSED")
    (tmp_path / "0").touch()
    plane.wait_for("the end of the first trial", lambda: first.phase.is_final)
    assert len(plane.actions(flyte_run, "waiting")) == 1
    set_sweep_state(path, "RUNNING")

    # Worse than the first trial: W&B stops it, although nothing else would end it.
    plane.wait_for("the second trial", lambda: len(plane.actions(flyte_run, "waiting")) >= 2)
    second = plane.actions(flyte_run, "waiting")[1]
    plane.wait_for("its end", lambda: second.phase.is_final)
    plane.wait(flyte_run)

    assert [action.phase for action in plane.actions(flyte_run, "waiting")] == [
        Phase.SUCCEEDED,
        Phase.ABORTED,
        Phase.ABORTED,
    ]
    sweep = only_sweep(wandb_devserver)
    assert sweep.trials[0].state == "finished"
    assert {run.state for run in sweep.trials[1:]} <= {"failed", "killed"}
    stopped = [("trial-2", "stopped by W&B"), ("trial-3", "stopped by W&B")]
    assert flyte_run.result[0]["errors"] == str(stopped)


def test_deleted_and_stopped_sweeps_let_running_trials_end(
    plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    runs = [plane.start("trials:search", "waiting", 1, context=grid(3, tmp_path)) for _ in range(2)]
    for flyte_run in runs:
        plane.wait_for_output(plane.action(flyte_run, "waiting"), "trial runs")
    deleted, stopped = (f"{PROJECT}/{sweep.id}" for sweep in wandb_devserver.sweeps(PROJECT))
    wandb_devserver.delete_sweep(deleted)
    set_sweep_state(stopped, "FINISHED")
    (tmp_path / "0").touch()
    results = [plane.wait(flyte_run).result[0] for flyte_run in runs]

    assert sorted(result["state"] for result in results) == ["deleted", "finished"]
    assert {result["counts"] for result in results} == {str({"finished": 1})}
    assert [len(plane.actions(flyte_run, "waiting")) for flyte_run in runs] == [1, 1]
