"""The run of a single task, for every way to call the task and every way it can end."""

from __future__ import annotations

import pytest
import wandb
from wandb_devserver import DevServer, Fault

from tests.remote.support import CONTEXT, PROJECT, link_of, logged, run_of
from tests.support.control_plane.actions import Phase
from tests.support.control_plane.driver import DOMAIN
from tests.support.control_plane.driver import PROJECT as FLYTE_PROJECT
from tests.support.control_plane.plane import ControlPlane


def test_run_has_rows_artifacts_and_action(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The user controls steps and artifacts; the run's config names its action, and the action links to the run."""
    flyte_run = plane.run("single:training", 3, context=CONTEXT)

    run = run_of(flyte_run.root, wandb_devserver)
    (result,) = flyte_run.result
    assert (result["step"], result["mode"]) == ("100", "online")
    assert result["files"].endswith("/files")
    assert (run.state, run.exit_code) == ("finished", 0)
    assert [(row["_step"], row.get("loss"), row.get("accuracy")) for row in run.history] == [
        (0, 1.0, None),
        (10, 1 / 2, None),
        (20, 1 / 3, None),
        (100, None, 0.9),
    ]
    assert (run.group, run.job_type, run.tags, run.notes) == (flyte_run.name, "training", ["single"], "a note")
    assert run.config["lr"] == 0.1
    known = {"run": flyte_run.name, "action": "a0", "task": "training", "project": FLYTE_PROJECT, "domain": DOMAIN}
    metadata = run.config["flyte"]
    assert isinstance(metadata, dict)
    assert {**known, "attempt": 0}.items() <= metadata.items()
    assert metadata["version"]
    assert "trained" in run.console
    assert link_of(flyte_run.root) == run.url
    assert [file.name for file in wandb.Api().artifact(f"{PROJECT}/model:v0").files()] == ["model.txt"]


def test_notebook_task_is_pickled_and_overridden(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    flyte_run = plane.run(
        "notebook:blocking", 5, context=CONTEXT, options={"interactive_mode": True}, overrides={"short_name": "renamed"}
    )

    run = run_of(flyte_run.root, wandb_devserver)
    assert flyte_run.root.spec is not None
    assert "--pkl" in flyte_run.root.spec.task_template.container.args
    assert (run.state, logged(run, "value")) == ("finished", [5])
    assert link_of(flyte_run.root) == run.url


def test_every_way_to_call_a_task_opens_one_run_per_action(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The action's link points to the run."""
    flyte_run = plane.run("single:calling_in_all_ways", context=CONTEXT)

    (ids,) = flyte_run.result
    runs = {
        way: [wandb_devserver.run(f"{PROJECT}/{name}") for name in dict.fromkeys(names)] for way, names in ids.items()
    }
    assert {way: [logged(run, "value") for run in found] for way, found in runs.items()} == {
        "aio": [[1]],
        "override": [[2]],
        "stacked": [[3]],
        "cached": [[4]],
        "map": [[5], [6]],
        "forward": [[7]],
    }
    assert logged(runs["stacked"][0], "before") == [1, 1]
    assert {run.state for run in wandb_devserver.runs(PROJECT)} == {"finished"}
    children = plane.actions(flyte_run)[1:]
    assert [child.is_cached for child in children if child.task == "single.remembered"] == [False, True]
    assert {link_of(child) for child in children if not child.is_cached} == {
        run.url for way, found in runs.items() for run in found if way != "forward"
    }


def test_decorating_keeps_the_cache_key(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The decorated task finds the cached result of the undecorated one."""
    plane.run("single:calling_hashed")
    flyte_run = plane.run("single:calling_hashed", env={"DECORATED": "1"})

    child = plane.action(flyte_run, "hashed")
    assert (child.is_cached, flyte_run.result) == (True, (1,))
    assert child.spec is not None
    assert child.spec.task_template.metadata.log_links


def test_deployed_task_has_the_link(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """`flyte deploy` reads decorated tasks from Flyte's registry."""
    plane.driver_env.update(WANDB_ENTITY="local", WANDB_PROJECT="remote")
    flyte_run = plane.run("single:blocking", 1, then="single:deploy")

    deployed = flyte_run.result
    assert deployed["single.blocking"] == [f"{wandb_devserver.url}/{PROJECT}/runs/{{{{.runName}}}}-{{{{.actionName}}}}"]
    assert deployed["single.hashed"] == []


@pytest.mark.parametrize(
    ("task", "exit_code", "error"),
    [
        ("single:raising_sync", 1, "the body's own"),
        ("single:exiting", 3, ""),
        ("single:exiting_sync", 3, ""),
    ],
    ids=["raises", "exits, async", "exits"],
)
def test_failing_task_fails_its_run(
    task: str, exit_code: int, error: str, plane: ControlPlane, wandb_devserver: DevServer
) -> None:
    """The run has its exit code; Flyte reports the exception of the body."""
    flyte_run = plane.run(task, context=CONTEXT, expect=Phase.FAILED)

    run = run_of(flyte_run.root, wandb_devserver)
    assert (run.state, run.exit_code) == ("failed", exit_code)
    assert logged(run, "value") == [1]
    assert flyte_run.root.error is not None
    assert error in flyte_run.root.error.message


def test_failure_to_close_keeps_the_exception_of_the_body(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    wandb_devserver.faults.add(Fault("file_stream", status=503, count=None))
    flyte_run = plane.run("single:raising_in_an_outage", context=CONTEXT, expect=Phase.FAILED)

    error = flyte_run.root.error
    assert error is not None
    assert (error.code, "the body's own" in error.message) == ("ValueError", True)


def test_retries_continue_the_run(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Two attempts fail and the third succeeds: one finished run with the rows of all."""
    flyte_run = plane.run("single:recovering", context=CONTEXT)

    (run,) = wandb_devserver.runs(PROJECT)
    assert flyte_run.result == (run.id,)
    assert len(flyte_run.root.attempts) == 3
    assert logged(run, "attempt") == [0, 1, 2]
    assert (run.state, run.exit_code) == ("finished", 0)
    assert isinstance(run.config["flyte"], dict)
    assert run.config["flyte"]["attempt"] == 2


def test_killed_attempt_keeps_its_rows_but_those_of_the_last_interval(
    plane: ControlPlane, wandb_devserver: DevServer
) -> None:
    """Rows arrive every second while the task runs. The next attempt continues the run."""
    flyte_run = plane.start("single:killed", context=CONTEXT)
    printed = plane.wait_for_output(flyte_run.root, "row 0 ")
    arrived: list[object] = []
    for requests in range(2, 100):
        wandb_devserver.requests.wait("file_stream", count=requests)
        if len(arrived := logged(run_of(flyte_run.root, wandb_devserver), "row")) > 1:
            break
    plane.kill(flyte_run.root)
    plane.wait(flyte_run)

    (run,) = wandb_devserver.runs(PROJECT)
    *rows, last = logged(run, "row")
    assert "intervals 1 1" in printed
    assert len(arrived) > 1
    assert rows[: len(arrived)] == arrived
    assert rows == list(range(len(rows)))
    assert (last, set(logged(run, "attempt"))) == (-1, {0, 1})
    assert (run.state, run.exit_code) == ("finished", 0)


@pytest.mark.skipif(
    "x_transaction_log_flush_interval" not in wandb.Settings.model_fields, reason="this SDK lacks one of the settings"
)
def test_intervals_of_the_user_win(plane: ControlPlane) -> None:
    """From the decorator and from the environment."""
    flyte_run = plane.run("single:intervals", context=CONTEXT, env={"WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "9"})

    assert flyte_run.result == ([7, 9],)


def test_wandb_mode_selects_the_mode(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    flyte_run = plane.run("single:mode", context=CONTEXT, env={"WANDB_MODE": "offline"})

    assert flyte_run.result == ("offline",)
    assert wandb_devserver.runs() == []


@pytest.mark.parametrize(
    ("task", "context", "env", "expected"),
    [
        ("misconfigured", {"wandb_run_mode": "often"}, {}, "wandb_run_mode"),
        ("misconfigured", {}, {"WANDB_API_KEY": "too-short"}, "WANDB_API_KEY"),
        ("misplaced", {}, {}, "put it above"),
        ("sharing_without_parent", {}, {}, 'run_mode="shared"'),
    ],
    ids=["configuration", "environment", "order of decorators", "nothing to share"],
)
def test_invalid_setting_fails_the_action_before_its_body(
    task: str,
    context: dict[str, str],
    env: dict[str, str],
    expected: str,
    plane: ControlPlane,
    wandb_devserver: DevServer,
) -> None:
    flyte_run = plane.run(f"single:{task}", context=context, env=env, expect=Phase.FAILED)

    assert flyte_run.root.error is not None
    assert expected in flyte_run.root.error.message
    assert "the body runs" not in flyte_run.root.last.stdout
    assert wandb_devserver.runs() == []
