"""Sweeps in Flyte's local mode, with the real SDKs and a server on loopback."""

import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import (
    NoSweepConfigError,
    SweepConfigError,
    SweepCreateError,
    get_wandb_context,
    get_wandb_run,
    get_wandb_sweep_id,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb_devserver import DevServer, Fault, SweepRecord

from tests.e2e.support import run_locally
from tests.support.preloaded.client import popen

env = flyte.TaskEnvironment(name="e2e_sweeps")

SWEEP = wandb_sweep_config(
    method="grid", metric={"name": "loss", "goal": "minimize"}, parameters={"lr": {"values": [1.5, 2.5]}}
)
CONTEXT = {**wandb_config(project="e2e"), **SWEEP}


def the_sweep(server: DevServer, project: str = "local/e2e") -> SweepRecord:
    (sweep,) = server.sweeps(project)
    return sweep


@pytest.fixture(autouse=True)
def environment_as_before(wandb_devserver: DevServer) -> Iterator[None]:
    """Remove environment variables that would affect the next run."""
    before = wandb_variables()
    yield
    assert wandb_variables() == before


def wandb_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("WANDB_") and name != "WANDB_SERVICE"}


# Creation


@env.task
async def undecorated() -> str | None:
    return get_wandb_sweep_id()


@wandb_sweep
@env.task
async def joining() -> str | None:
    return get_wandb_sweep_id()


@wandb_sweep
@env.task
def joining_sync() -> str | None:
    return get_wandb_sweep_id()


@wandb_sweep(name="its own", parameters={"lr": {"value": 3}})
@env.task
async def having_parameters() -> str | None:
    return get_wandb_sweep_id()


@flyte.trace
async def traced() -> str | None:
    return get_wandb_sweep_id()


@wandb_sweep
@env.task
async def creating() -> dict[str, list[str | None]]:
    nearer = wandb_sweep_config(name="nearer", run_cap=1)
    found = {
        "same": [get_wandb_sweep_id(), await traced(), await undecorated(), await joining(), await joining_sync.aio()],
        "own parameters": [await having_parameters()],
    }
    with nearer:
        found["same"].append(get_wandb_sweep_id())
        found["nearer"] = [await joining()]
    with wandb_sweep_config(method="grid"):  # as the current sweep has it already
        found["equal"] = [await joining()]
    found["same"].append(await joining())
    return found


def test_configuration_creates_one_sweep(wandb_devserver: DevServer) -> None:
    """The task, its traces and children share a sweep; a nearer configuration creates another."""
    found = run_locally(creating, context={**CONTEXT, **wandb_sweep_config(description="for a test", entity="team")})

    assert all(len(set(ids)) == 1 for ids in found.values())
    ids = [found[key][0] for key in ("same", "own parameters", "nearer", "equal")]
    sweeps = {sweep.id: sweep for sweep in wandb_devserver.sweeps("team/e2e")}
    assert sweeps.keys() == set(ids)
    assert len(set(ids)) == 4
    first = sweeps[ids[0]]
    assert (
        first.config.items()
        >= {
            "method": "grid",
            "metric": {"name": "loss", "goal": "minimize"},
            "parameters": {"lr": {"values": [1.5, 2.5]}},
            "description": "for a test",
        }.items()
    )
    assert "on_exit" not in first.config
    assert [sweeps[sweep].name for sweep in ids[1:3]] == ["its own", "nearer"]
    # In local mode the names of run and action are generated.
    assert first.name.count("-") >= 1
    assert {sweep.state for sweep in sweeps.values()} == {"PENDING"}
    shown = wandb.Api().sweep(f"team/e2e/{first.id}")  # type: ignore[no-untyped-call]
    assert shown.config["name"] == first.name
    assert shown._attrs["description"].startswith("for a test\n")


@wandb_sweep(project="decorated", entity="team")
@env.task
def decorated_with_entity() -> str | None:
    return get_wandb_sweep_id()


@pytest.mark.parametrize(
    ("task", "context", "project"),
    [
        (decorated_with_entity, wandb_sweep_config(project="swept", entity="other"), "team/decorated"),
        (joining, wandb_sweep_config(project="swept", entity="team"), "team/swept"),
        (joining, wandb_config(project="configured", entity="team"), "team/configured"),
        (joining, {}, "local/uncategorized"),
    ],
    ids=["decorator", "sweep configuration", "configuration", "W&B's default"],
)
def test_project_and_entity_have_a_precedence(
    task: Any, context: dict[str, str], project: str, wandb_devserver: DevServer
) -> None:
    """Decorator, then sweep configuration, then configuration."""
    sweep_id = run_locally(task, context={**SWEEP, **context})

    assert the_sweep(wandb_devserver, project).id == sweep_id


_attempts: list[str | None] = []


@wandb_sweep
@env.task(retries=1)
async def failing_once() -> str | None:
    _attempts.append(get_wandb_sweep_id())
    if len(_attempts) == 1:
        msg = "the first attempt"
        raise ValueError(msg)
    return get_wandb_sweep_id()


@pytest.mark.parametrize("on_failure", ["stop", "cancel", "leave"])
def test_retry_continues_the_sweep(on_failure: Any, wandb_devserver: DevServer) -> None:
    """The failed attempt ended the sweep; the retry resumes it. Another run creates its own."""
    _attempts.clear()
    fixed = wandb_sweep_config(name="always the same", on_failure=on_failure)
    first = run_locally(failing_once, context={**CONTEXT, **fixed})

    assert _attempts == [first, first]
    assert the_sweep(wandb_devserver).state in ("RUNNING", "PENDING")
    second = run_locally(failing_once, context={**CONTEXT, **fixed})
    assert {sweep.id for sweep in wandb_devserver.sweeps("local/e2e")} == {first, second}
    assert first != second


def test_lost_response_creates_no_second_sweep(wandb_devserver: DevServer) -> None:
    """The server created the sweep and its response was lost: the sweep is found by its marker."""
    lost = wandb_devserver.faults.add(
        Fault("graphql", operation="UpsertSweep", status=400, applied=True, body='{"errors": [{"message": "lost"}]}')
    )
    sweep_id = run_locally(joining, context=CONTEXT)

    assert wandb_devserver.faults.fired(lost) == 1
    assert the_sweep(wandb_devserver).id == sweep_id


@wandb_sweep
@env.task
async def ending(how: str) -> str | None:
    if how == "raises":
        msg = "the body's own"
        raise ValueError(msg)
    if how == "is cancelled":
        raise asyncio.CancelledError
    return get_wandb_sweep_id()


@pytest.mark.parametrize(
    ("how", "settings", "state"),
    [
        ("returns", {}, "PENDING"),
        ("returns", {"on_exit": "stop"}, "FINISHED"),
        ("returns", {"on_failure": "cancel"}, "PENDING"),
        ("raises", {}, "FINISHED"),
        ("raises", {"on_failure": "cancel"}, "CANCELED"),
        ("raises", {"on_failure": "leave", "on_exit": "stop"}, "PENDING"),
        ("is cancelled", {}, "FINISHED"),
    ],
)
def test_sweep_ends_as_configured(how: str, settings: dict[str, Any], state: str, wandb_devserver: DevServer) -> None:
    """This does not depend on how the task ends; a child that joined the sweep changes nothing."""
    context = {**CONTEXT, **wandb_sweep_config(**settings)}
    if how == "returns":
        run_locally(ending, how, context=context)
    else:
        with pytest.raises(BaseException) as caught:  # noqa: PT011
            run_locally(ending, how, context=context)
        assert not isinstance(caught.value, SweepCreateError)

    assert the_sweep(wandb_devserver).state == state


@pytest.mark.parametrize(("rank", "sweeps"), [("0", 1), ("1", 0)])
def test_only_the_first_rank_creates_a_sweep(
    rank: str, sweeps: int, wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    run_locally(ending, "returns", context=CONTEXT)

    assert len(wandb_devserver.sweeps()) == sweeps


def test_failure_to_stop_the_sweep_keeps_the_exception(
    wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A log line reports that the sweep could not be stopped."""
    refusal = Fault("graphql", operation="GetSweep", count=None, status=403)
    wandb_devserver.faults.add(refusal)
    with pytest.raises(flyte.errors.RuntimeUserError, match="the body's own"):
        run_locally(ending, "raises", context=CONTEXT)

    assert "continues" in caplog.text
    assert the_sweep(wandb_devserver).url in caplog.text


@wandb_init
@wandb_sweep
@env.task
async def run_above() -> tuple[str | None, str]:
    run = get_wandb_run()
    assert run is not None
    return get_wandb_sweep_id(), run.id


@wandb_sweep
@wandb_init
@env.task
def run_below() -> tuple[str | None, str]:
    run = get_wandb_run()
    assert run is not None
    return get_wandb_sweep_id(), run.id


@pytest.mark.parametrize("task", [run_above, run_below], ids=["init above", "sweep above"])
def test_sweep_and_run_decorators_combine_in_either_order(task: Any, wandb_devserver: DevServer) -> None:
    """The task's own run is not a run of the sweep."""
    flyte.init()
    run = flyte.with_runcontext(mode="local", custom_context=dict(CONTEXT)).run(task)
    sweep_id, run_id = run.outputs()

    assert the_sweep(wandb_devserver).id == sweep_id
    assert the_sweep(wandb_devserver).trials == []
    assert wandb_devserver.run(f"local/e2e/{run_id}").state == "finished"
    assert the_sweep(wandb_devserver).name == run_id


# Invalid input


@wandb_sweep
@env.task
@wandb_init
async def upside_down() -> None: ...


def test_run_decorator_below_env_task_raises(wandb_devserver: DevServer) -> None:
    """A wrapper hides the task from the decorator."""
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"@wandb_init is below @env\.task"):
        run_locally(upside_down, context=CONTEXT)


def test_missing_configuration_raises_before_any_request(wandb_devserver: DevServer) -> None:
    """The error names where to give one."""
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"no sweep configuration.*wandb_sweep_config") as caught:
        run_locally(joining, context=wandb_config(project="e2e"))

    assert NoSweepConfigError.__name__ in str(caught.value.code)
    assert wandb_devserver.sweeps() == []


def test_invalid_configuration_names_every_key(wandb_devserver: DevServer) -> None:
    """Nothing is created."""
    wrong = wandb_sweep_config(method="bayes", parameters={"opt": {"parameters": {"lr": {"value": 0}}}})
    with pytest.raises(flyte.errors.RuntimeUserError) as caught:
        run_locally(joining, context=wrong)

    assert SweepConfigError.__name__ in str(caught.value.code)
    assert "metric: is missing" in str(caught.value)
    assert "parameters: method 'bayes' requires one that is not constant" in str(caught.value)
    assert wandb_devserver.sweeps() == []


def test_refused_sweep_raises_before_the_body(wandb_devserver: DevServer) -> None:
    """The error names the server and its reason."""
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertSweep", count=None, status=403))
    _attempts.clear()
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"Cannot create .* in the default entity/e2e at http"):
        run_locally(failing_once, context=CONTEXT)

    assert _attempts == []


def test_ctrl_c_stops_the_sweep(wandb_devserver: DevServer, tmp_path: Path) -> None:
    """Flyte does not cancel a local task: the sweep is stopped when the process exits."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    with popen([sys.executable, str(script)], os.environ, tmp_path) as process:
        assert process.stdout is not None
        assert "in the body" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.wait(60)

    assert the_sweep(wandb_devserver).state == "FINISHED"


_SCRIPT = """
import asyncio
import flyte
from flyteplugins.wandb import wandb_config, wandb_sweep, wandb_sweep_config

env = flyte.TaskEnvironment(name="script")

@wandb_sweep(method="random", parameters={"lr": {"min": 0.1, "max": 1.0}})
@env.task
async def waiting() -> None:
    print("in the body", flush=True)
    await asyncio.sleep(60)

flyte.init()
flyte.with_runcontext(mode="local", custom_context=wandb_config(project="e2e")).run(waiting)
"""


# Agents of the SDK

# wandb.init does not close the file of a trial's parameters.
agents = pytest.mark.filterwarnings("ignore:Exception ignored in.*sweep-:pytest.PytestUnraisableExceptionWarning")

_trials: list[dict[str, Any]] = []


def trial() -> None:
    run = wandb.run
    assert run is not None
    _trials.append(
        {
            "is the run": get_wandb_run() is run,
            "sweep": get_wandb_sweep_id(),
            "project": get_wandb_context().project,
            "tags": run.tags,
            "refused": refused_agent(),
        }
    )
    run.log({"loss": run.config["lr"]})
    if run.config["lr"] == 2.5:
        msg = "a trial that fails"
        raise ValueError(msg)


def refused_agent() -> str:
    try:
        wandb.agent(get_wandb_sweep_id() or "", function=trial, count=1)
    except Exception as error:  # noqa: BLE001
        return str(error)
    return ""


@wandb_init
async def objective() -> None:
    await asyncio.sleep(0)
    trial()


@wandb_init
def objective_sync() -> None:
    trial()


@wandb_sweep
@env.task
async def agent(agent_id: int, sweep_id: str, count: int = 5) -> int:
    function = objective if agent_id == 1 else objective_sync
    wandb.agent(sweep_id, function=function, count=count, project=get_wandb_context().project)
    return agent_id


@wandb_init
@wandb_sweep
@env.task
async def controller(num_agents: int = 2, trials_per_agent: int = 1) -> str:
    run = get_wandb_run()
    sweep_id = get_wandb_sweep_id()
    assert run is not None
    assert sweep_id is not None
    run.log({"at": "start"})
    await asyncio.gather(
        *(agent(agent_id=number + 1, sweep_id=sweep_id, count=trials_per_agent) for number in range(num_agents))
    )
    assert wandb.run is run
    wandb.log({"at": "end"})
    return sweep_id


@agents
def test_documented_wandb_agent_pattern_works(wandb_devserver: DevServer) -> None:
    """`wandb.agent` in tasks, with decorated and undecorated objectives. The controller's run stays open."""
    _trials.clear()
    configured = wandb_config(project="e2e", entity="team", tags=["tagged"], host=wandb_devserver.url)
    swept = wandb_sweep_config(project="swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_BASE_URL")
        sweep_id = run_locally(controller, context={**CONTEXT, **configured, **swept})

    sweep = the_sweep(wandb_devserver, "team/swept")
    assert sweep.id == sweep_id
    assert {run.state: run.config["lr"] for run in sweep.trials} == {"finished": 1.5, "failed": 2.5}
    assert [row["loss"] for run in sweep.trials for row in run.history] == [1.5, 2.5]
    (own,) = wandb_devserver.runs("team/e2e")
    assert (own.state, [row["at"] for row in own.history]) == ("finished", ["start", "end"])
    assert len(_trials) == 2
    for found in _trials:
        assert "run_sweep_agent" in found.pop("refused")
        assert found == {"is the run": True, "sweep": sweep_id, "project": "e2e", "tags": ("tagged",)}


_has_started = threading.Event()


@wandb_init
def objective_beside_others() -> None:
    """Continue when the other agent and the other task wait."""
    run = get_wandb_run()
    assert run is not None
    if not _has_started.is_set():
        _has_started.set()
        assert _both_wait.wait(30), _seen
    run.log({"loss": 1})


_both_wait = threading.Event()
_seen: set[str] = set()


@wandb_sweep
@env.task
def agent_in_thread(sweep_id: str) -> None:
    wandb.agent(sweep_id, function=objective_beside_others, count=1)


@wandb_init(project="beside")
@env.task
def beside() -> str:
    run = get_wandb_run()
    assert run is not None
    run.log({"value": 1})
    return run.id


@wandb_init(project="before")
@env.task
def before() -> None:
    run = get_wandb_run()
    assert run is not None
    assert _has_started.wait(30)
    run.log({"value": 1})


@wandb_sweep
@env.task
async def controller_of_threads() -> None:
    sweep_id = get_wandb_sweep_id()
    assert sweep_id is not None
    running = [asyncio.create_task(before.aio()), asyncio.create_task(agent_in_thread.aio(sweep_id))]
    await asyncio.to_thread(_has_started.wait, 30)
    await asyncio.gather(*running, agent_in_thread.aio(sweep_id), beside.aio())


@agents
def test_second_agent_and_new_run_wait_for_an_agent(
    wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A second agent and a task that opens a run wait; an open run keeps logging."""
    # Flyte imports pandas for its type engine on first use; two tasks at once can meet a half-imported module.
    importlib.import_module("pandas")
    waiting = {"wandb.agent waits", "Opening a W&B run or sweep waits"}
    _has_started.clear()
    _both_wait.clear()

    seen = _seen
    seen.clear()

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.update(text for text in waiting if text in record.getMessage())
            if seen == waiting:
                _both_wait.set()

    handler = Seen()
    for name in ("wandb_runtime", "wandb_sweeps"):
        logging.getLogger(name).addHandler(handler)
    try:
        run_locally(controller_of_threads, context={**CONTEXT, **wandb_sweep_config(entity="team")})
    finally:
        for name in ("wandb_runtime", "wandb_sweeps"):
            logging.getLogger(name).removeHandler(handler)

    assert seen == waiting
    assert [run.state for run in the_sweep(wandb_devserver, "team/e2e").trials] == ["finished", "finished"]
    for project in ("local/before", "local/beside"):
        (run,) = wandb_devserver.runs(project)
        assert (run.state, len(run.history), run.sweep) == ("finished", 1, None)


@wandb_sweep
@env.task
async def agent_of_a_wrong_sweep(sweep_id: str, project: str) -> None:
    wandb.agent(sweep_id, function=objective_sync, count=1, project=project)


@wandb_sweep
@env.task
def agent_of_its_deleted_sweep(url: str) -> None:
    """Deletes its sweep as a user does, over another connection."""
    sweep_id = get_wandb_sweep_id()
    assert sweep_id is not None
    _servers[url].delete_sweep(f"local/e2e/{sweep_id}")
    wandb.agent(sweep_id, function=objective_sync, count=1)


_servers: dict[str, DevServer] = {}


def test_agent_of_a_wrong_or_deleted_sweep_raises_at_once(wandb_devserver: DevServer) -> None:
    sweep_id = run_locally(joining, context={**CONTEXT, **wandb_sweep_config(project="other")})
    expected = rf"Sweep '{sweep_id}' does not exist in local/e2e .* belongs to another project"
    with pytest.raises(flyte.errors.RuntimeUserError, match=expected):
        run_locally(agent_of_a_wrong_sweep, sweep_id, "e2e", context=CONTEXT)

    _servers[wandb_devserver.url] = wandb_devserver
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"does not exist .* it was deleted"):
        run_locally(agent_of_its_deleted_sweep, wandb_devserver.url, context=CONTEXT)
