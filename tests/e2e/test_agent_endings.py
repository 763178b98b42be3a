"""Ends of `run_sweep_agent`: every agent ends and reports why, whatever happens to its sweep."""

import asyncio
import atexit
import contextlib
import functools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import (
    AgentResult,
    get_wandb_context,
    get_wandb_run,
    get_wandb_run_dir,
    get_wandb_sweep_id,
    run_sweep_agent,
    wandb_config,
    wandb_init,
    wandb_sweep,
)
from wandb_artifacts import InvalidValueError
from wandb_devserver import DevServer, Fault
from wandb_sweeps._agents import agent

from tests.e2e.support import create_grid as sweep_of
from tests.e2e.support import create_sweep, run_locally, set_sweep_state

env = flyte.TaskEnvironment(name="e2e_agent_endings")

pytestmark = [
    pytest.mark.usefixtures("objectives_by_value"),
    # Raised by Flyte's types of dataclasses.
    pytest.mark.filterwarnings("ignore:Support for class-based `config`"),
]


# Actions of the test while an agent runs, in the same process as local tasks.
_server: list[DevServer] = []


@pytest.fixture(autouse=True)
def known_server(wandb_devserver: DevServer) -> Iterator[None]:
    _server.append(wandb_devserver)
    yield
    _server.clear()


async def has_logged(sweep: str) -> None:
    while not any("row" in run.summary for run in _server[0].sweep(sweep).trials):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


@wandb_init
def logging_until_file_exists() -> None:
    """Log, and wait for a file that the test creates."""
    run = get_wandb_run()
    assert run is not None
    run.log({"row": 1})
    while not Path(run.config["how"]).exists():
        time.sleep(0.05)
    run.log({"row": 2})


@env.task
async def agent_of_a_sweep_that_is_deleted(sweep: str, mark: str) -> AgentResult:
    """Deletes its sweep mid-trial; the trial continues until the agent has noticed."""
    agent = asyncio.ensure_future(run_sweep_agent(logging_until_file_exists, sweep_id=sweep))
    await has_logged(sweep)
    heartbeats = _server[0].requests.count("graphql", "Heartbeat")
    _server[0].delete_sweep(sweep)
    await asyncio.to_thread(_server[0].requests.wait, "graphql", "Heartbeat", count=heartbeats + 1)
    await asyncio.to_thread(Path(mark).touch)
    return await agent


def test_deleting_the_sweep_mid_trial_keeps_the_trial_and_ends_the_agent(
    wandb_devserver: DevServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The trial finishes and its run is kept; the agent reports why it takes no further trial."""
    mark = tmp_path / "mark"
    result: AgentResult = run_locally(agent_of_a_sweep_that_is_deleted, sweep_of(str(mark), "never"), str(mark))

    assert (result.ended, result.counts) == ("deleted", {"finished": 1})
    assert result.trials[0].summary["row"] == 2
    assert "was deleted; trial" in caplog.text
    assert [run.state for run in wandb_devserver.runs()] == ["finished"]


@env.task
async def agent_of(objective: str, sweep: str, max_failures: int | None = None) -> AgentResult:
    return await run_sweep_agent(globals()[objective], sweep_id=sweep, max_failures=max_failures)


NOTHING_TO_DO = '{"data": {"agentHeartbeat": {"agent": {"id": "1"}, "commands": "[]"}}}'


@env.task
async def agent_without_trials(sweep: str, state: Any) -> AgentResult:
    """Its sweep ends while it waits, and the server sends agents no command to end."""
    agent = asyncio.ensure_future(run_sweep_agent(logging_until_file_exists, sweep_id=sweep))
    await asyncio.to_thread(_server[0].faults.wait)
    if state == "deleted":
        _server[0].delete_sweep(sweep)
    else:
        await asyncio.to_thread(set_sweep_state, sweep, state)
    return await agent


@pytest.mark.parametrize(("state", "ended"), [("CANCELED", "finished"), ("FINISHED", "finished"), ("deleted",) * 2])
def test_waiting_agent_ends_with_its_sweep(state: str, ended: str, wandb_devserver: DevServer) -> None:
    """An idle agent checks the sweep's state and does not wait for trials that will not come."""
    wandb_devserver.faults.add(Fault("graphql", operation="Heartbeat", status=200, body=NOTHING_TO_DO, count=None))
    result: AgentResult = run_locally(agent_without_trials, sweep_of(1), state)

    assert (result.ended, result.trials) == (ended, [])


@env.task
async def agent_of_a_paused_sweep(sweep: str) -> AgentResult:
    agent = asyncio.ensure_future(run_sweep_agent(logging_until_file_exists, sweep_id=sweep))
    await asyncio.to_thread(_server[0].requests.wait, "graphql", "Heartbeat")
    _server[0].delete_sweep(sweep)
    return await agent


def test_waiting_agent_ends_when_its_sweep_is_deleted(wandb_devserver: DevServer) -> None:
    """The next heartbeat reports it."""
    sweep = sweep_of(1)
    set_sweep_state(sweep, "PAUSED")
    result: AgentResult = run_locally(agent_of_a_paused_sweep, sweep)

    assert (result.ended, result.trials) == ("deleted", [])


@env.task
async def agent_with_an_answer(sweep: str, mark: str) -> AgentResult:
    agent = asyncio.ensure_future(run_sweep_agent(logging_until_file_exists, sweep_id=sweep))
    await has_logged(sweep)
    met = _server[0].faults.add(_answers[0])
    await asyncio.to_thread(_server[0].faults.wait, met)
    await asyncio.to_thread(Path(mark).touch)
    return await agent


_answers: list[Fault] = []
STOP_ANOTHER = NOTHING_TO_DO.replace("[]", r"[{\"type\": \"stop\", \"run_id\": \"another\"}]")


@pytest.mark.parametrize(
    ("response", "expected"),
    [({"status": 403}, "continues trial"), ({"status": 200, "body": STOP_ANOTHER}, "starts trial")],
)
def test_trial_survives_an_outage_and_commands_for_other_trials(
    response: Any, expected: str, wandb_devserver: DevServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not need its agent to finish, and ignores a stop command for another trial."""
    caplog.set_level("INFO")
    _answers[:] = [Fault("graphql", operation="Heartbeat", **response)]
    mark = tmp_path / "mark"
    result: AgentResult = run_locally(agent_with_an_answer, sweep_of(str(mark)), str(mark))

    assert (result.ended, [trial.state for trial in result.trials]) == ("finished", ["finished"])
    assert expected in caplog.text


@wandb_init
def logging() -> None:
    wandb.log({"row": 1})


def test_result_of_an_unknown_trial_comes_from_the_agent(wandb_devserver: DevServer) -> None:
    """Where the server has no state of a trial, the result contains what the agent observed."""
    wandb_devserver.faults.add(Fault("graphql", operation="Runs", status=403, count=None))
    result: AgentResult = run_locally(agent_of, "logging", sweep_of(7))

    (trial,) = result.trials
    assert (trial.state, trial.config, trial.summary, trial.error) == ("finished", {"how": 7}, {}, "")
    assert trial.id == wandb_devserver.runs()[0].id


@wandb_init
def failing_by_config() -> None:
    if wandb.config["how"].startswith("fails"):
        msg = "intended"
        raise ValueError(msg)


def test_success_resets_the_failure_count(wandb_devserver: DevServer) -> None:
    """Only consecutive failures end an agent."""
    sweep = sweep_of("fails 1", "ends", "fails 2", "fails 3", "not reached")
    result: AgentResult = run_locally(agent_of, "failing_by_config", sweep, 2)

    assert result.ended == "failures"
    assert [trial.state for trial in result.trials] == ["failed", "finished", "failed", "failed"]


# Ends of trials


def exiting() -> None:
    """Exit by SystemExit while the run is open."""
    wandb.init()
    sys.exit(wandb.config["how"])


def test_system_exit_sets_the_exit_code_of_the_trial(wandb_devserver: DevServer) -> None:
    """It follows the rules for scripts: None and 0 are successes, a string is a failure, a number is the code."""
    result: AgentResult = run_locally(agent_of, "exiting", sweep_of(0, 3, "no data"))

    assert [trial.error for trial in result.trials] == ["", "SystemExit: 3", "SystemExit: no data"]
    assert [(run.state, run.exit_code) for run in wandb_devserver.runs()] == [
        ("finished", 0),
        ("failed", 3),
        ("failed", 1),
    ]


def raising_with_the_run_open() -> None:
    wandb.init()
    msg = "where it is looked for"
    raise ValueError(msg)


@pytest.mark.usefixtures("no_forkserver")  # The forkserver prints to the standard streams of its start.
def test_exception_fails_the_trial_and_prints_its_traceback(
    wandb_devserver: DevServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """The run is failed, and the traceback is in the output of the task."""
    result: AgentResult = run_locally(agent_of, "raising_with_the_run_open", sweep_of(1))

    assert [trial.error for trial in result.trials] == ["ValueError: where it is looked for"]
    assert [(run.state, run.exit_code) for run in wandb_devserver.runs()] == [("failed", 1)]
    assert "in raising_with_the_run_open" in capfd.readouterr().err


@wandb_init
def never_leaving() -> None:
    """Registers an exit handler that never returns."""
    how = wandb.config["how"]
    atexit.register(lambda: Path(how).touch() if "/" in how else threading.Event().wait())


def test_agent_moves_on_when_a_trial_process_hangs_at_exit(
    wandb_devserver: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions registered with atexit run; the agent waits for them briefly and starts the next trial."""
    monkeypatch.setattr(agent, "_EXIT_TIMEOUT", 0.5)
    mark = tmp_path / "mark"
    result: AgentResult = run_locally(agent_of, "never_leaving", sweep_of("stuck", str(mark)))

    assert [(trial.state, trial.error) for trial in result.trials] == [("finished", "")] * 2
    assert mark.exists()


@wandb_init
def cleaning_up() -> None:
    run = get_wandb_run()
    assert run is not None
    try:
        run.log({"row": 1})
        time.sleep(600)
    finally:
        run.log({"row": 2})
        Path(run.config["how"]).touch()
        if run.config["how"].endswith("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(1)
        run.log({"row": 3})


@env.task
async def cancelling_twice(sweep: str, mark: str) -> str:
    """Cancel the agent again while it waits for the trial."""
    agent = asyncio.ensure_future(run_sweep_agent(cleaning_up, sweep_id=sweep))
    await has_logged(sweep)
    agent.cancel()
    while not Path(mark).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.05)
    agent.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await agent
    return "cancelled" if agent.cancelled() else "ended"


@pytest.mark.parametrize(("how", "last"), [("cleans up", {3}), ("dies", {1, 2})])
def test_cancelling_twice_still_waits_for_the_trial(
    how: str, last: set[int], wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """The agent ends after its trial, and W&B has the trial's final state, even if the trial is killed."""
    mark = tmp_path / how
    assert run_locally(cancelling_twice, sweep_of(str(mark)), str(mark)) == "cancelled"

    (run,) = wandb_devserver.runs()
    assert run.state == "preempted"
    assert [row["row"] for row in run.history if "row" in row][-1] in last


# Projects of trials


@wandb_init
def seeing() -> None:
    run = get_wandb_run()
    assert run is not None
    context = get_wandb_context()
    run.summary["context"] = [context.entity, context.project, context.host]
    run.summary["flush"] = run.settings.x_file_stream_transmit_interval


def seeing_by_itself() -> None:
    with wandb.init() as run:
        run.summary["place"] = [run.entity, run.project, run.sweep_id]


@env.task
async def agents_elsewhere(sweep: str) -> list[AgentResult]:
    return [await run_sweep_agent(each, sweep_id=sweep, count=1) for each in (seeing, seeing_by_itself)]


@pytest.mark.parametrize("flush", [None, "7"])
def test_trials_run_in_the_project_of_the_sweep(
    flush: str | None, wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configured project does not matter. Rows are sent every second unless the user sets another interval."""
    if flush is not None:
        monkeypatch.setenv("WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL", flush)
    config = "method: grid\nparameters: {how: {values: [1, 2]}}"
    sweep = str(create_sweep(config, entity="team", project="swept").ref)
    configured = wandb_config(project="e2e", entity="local", host=wandb_devserver.url)
    monkeypatch.delenv("WANDB_BASE_URL")
    wandb.teardown()  # the SDK's cache of the server's features
    results: list[AgentResult] = run_locally(agents_elsewhere, sweep, context=configured)

    assert [result.sweep_id for result in results] == [sweep, sweep]
    (seen,), (seen_by_itself,) = (result.trials for result in results)
    assert seen.summary == {"context": ["team", "swept", wandb_devserver.url], "flush": float(flush or 1)}
    assert seen_by_itself.summary == {"place": ["team", "swept", sweep.rpartition("/")[2]]}


@wandb_sweep(project="decorated", entity="team", method="grid", parameters={"how": {"value": 1}})
@env.task
async def agent_of_its_own_sweep() -> AgentResult:
    return await run_sweep_agent(logging, sweep_id=get_wandb_sweep_id())


def test_id_of_the_current_sweep_is_enough(wandb_devserver: DevServer) -> None:
    """Entity and project are those of the current sweep."""
    result: AgentResult = run_locally(agent_of_its_own_sweep, context=wandb_config(project="e2e"))

    (sweep,) = wandb_devserver.sweeps("team/decorated")
    assert (result.sweep_id, result.counts) == (f"team/decorated/{sweep.id}", {"finished": 1})


# Invalid input


def with_parameters(lr: float) -> None: ...


_LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("objective", "arguments", "message"),
    [
        (logging, {"count": True}, "count=True: must be a whole number above 0"),
        (logging, {"count": 0}, "count=0: must be"),
        (logging, {"max_failures": 1.5}, r"max_failures=1\.5: must be"),
        (with_parameters, {}, "is called without arguments, but missing a required argument: .lr."),
        ("logging", {}, "objective='logging': must be a function that takes no arguments"),
        (functools.partial(print, _LOCK), {}, "cannot be pickled for the processes of its trials: TypeError: .*lock"),
    ],
)
def test_invalid_input_raises_before_any_request(
    objective: Any, arguments: dict[str, Any], message: str, wandb_devserver: DevServer
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        asyncio.run(run_sweep_agent(objective, sweep_id="local/e2e/none", **arguments))

    assert wandb_devserver.requests.count("graphql") == 0


def test_missing_api_key_raises_without_a_prompt(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = sweep_of(1)
    monkeypatch.delenv("WANDB_API_KEY")
    wandb.teardown()
    with pytest.raises(flyte.errors.RuntimeUserError, match="No W&B API key: set WANDB_API_KEY") as refused:
        run_locally(agent_of, "logging", sweep)
    assert refused.value.code == "MissingApiKeyError"


def test_error_redacts_a_key_that_the_response_quotes(wandb_devserver: DevServer) -> None:
    body = json.dumps({"errors": [{"message": f"no such key: {wandb_devserver.api_key}"}]})
    sweep = sweep_of(1)
    wandb_devserver.faults.add(Fault("graphql", operation="GetSweep", status=403, body=body, count=None))
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"no such key: \*\*\*"):
        run_locally(agent_of, "logging", sweep)


# Runs that the objective opens with wandb.init


def calling_init() -> None:
    before = get_wandb_run()
    run = wandb.init()
    run.summary["before"] = before is None
    run.summary["is the run"] = get_wandb_run() is run
    run.summary["directory"] = get_wandb_run_dir() == run.dir
    run.summary["sweep"] = get_wandb_sweep_id()
    run.finish()
    assert get_wandb_run() is None


async def calling_init_async() -> None:
    await asyncio.to_thread(calling_init)


@wandb_init(project="own")
@env.task
async def agents_of_undecorated(sweep: str) -> list[AgentResult]:
    return [await run_sweep_agent(each, sweep_id=sweep, count=1) for each in (calling_init, calling_init_async)]


def test_undecorated_objective_has_the_run_of_its_trial(wandb_devserver: DevServer) -> None:
    """`get_wandb_run` finds it from its opening to its end, as for a decorated objective."""
    sweep = sweep_of(1, 2)
    results: list[AgentResult] = run_locally(agents_of_undecorated, sweep, context=wandb_config(project="e2e"))

    assert [(trial.state, trial.error) for result in results for trial in result.trials] == [("finished", "")] * 2
    for run in wandb_devserver.sweep(sweep).trials:
        assert [run.summary[key] for key in ("before", "is the run", "directory")] == [True, True, True]
        assert run.summary["sweep"] == run.sweep
