"""Sweeps and agents over connections that are not plain: proxies, lost responses, malformed responses."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import (
    AgentResult,
    get_wandb_sweep_id,
    run_sweep_agent,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb_devserver import DevServer, Fault
from wandb_sweeps._server.lookup import SweepServer

from tests.e2e.support import create_grid, create_sweep, run_locally
from tests.support.forward_proxy import ForwardProxy

env = flyte.TaskEnvironment(name="e2e_sweep_connection")

pytestmark = [
    pytest.mark.usefixtures("objectives_by_value"),
    # Raised by Flyte's types of dataclasses.
    pytest.mark.filterwarnings("ignore:Support for class-based `config`"),
]

SWEEP = wandb_sweep_config(
    method="grid", metric={"name": "loss", "goal": "minimize"}, parameters={"how": {"values": [1]}}
)
CONTEXT = {**wandb_config(project="e2e"), **SWEEP}


@wandb_init
def logging() -> None:
    wandb.log({"loss": wandb.config["how"]})


@wandb_sweep(on_exit="stop")
@env.task
async def searching() -> AgentResult:
    return await run_sweep_agent(logging)


@wandb_sweep
@env.task
async def creating() -> str | None:
    return get_wandb_sweep_id()


@env.task
async def agent_of(sweep: str) -> AgentResult:
    return await run_sweep_agent(logging, sweep_id=sweep, count=1, idle_timeout=0.5)


@pytest.fixture
def wandb_devserver_options() -> dict[str, Any]:
    return {"allowed_hosts": ["wandb.test"]}


@pytest.fixture
def proxy(wandb_devserver: DevServer) -> Iterator[ForwardProxy]:
    """Start a proxy; no other way leads to the host `wandb.test`, which is the server."""
    url = urlsplit(wandb_devserver.url)
    with ForwardProxy(hosts={"wandb.test": (url.hostname or "", url.port or 0)}) as proxy:
        yield proxy


def test_proxy_and_headers_of_the_settings_reach_sweeps_agents_and_trials(
    wandb_devserver: DevServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_BASE_URL")
    settings = {"http_proxy": proxy.url, "x_extra_http_headers": {"X-Team": "vision"}}
    configured = wandb_config(project="e2e", host="http://wandb.test", settings=settings)
    result: AgentResult = run_locally(searching, context={**configured, **SWEEP})

    (sweep,) = wandb_devserver.sweeps()
    assert (result.ended, result.counts, sweep.state) == ("finished", {"finished": 1}, "FINISHED")
    assert [row["loss"] for run in sweep.trials for row in run.history] == [1]
    assert {urlsplit(request.target).hostname for request in proxy.requests} == {"wandb.test"}
    assert {request.headers.get("x-team") for request in proxy.requests if "/graphql" in request.target} == {"vision"}


@pytest.mark.parametrize(
    ("status", "is_applied"),
    [(502, True), (400, True), (503, False)],
    ids=["lost", "lost with a permanent error", "refused once"],
)
def test_failed_creation_makes_exactly_one_sweep(status: int, is_applied: bool, wandb_devserver: DevServer) -> None:
    """A sweep whose response was lost is found by its marker; otherwise the creation is repeated."""
    body = '{"errors": [{"message": "lost"}]}'
    fault = Fault("graphql", operation="UpsertSweep", status=status, applied=is_applied, body=body)
    failed = wandb_devserver.faults.add(fault)
    sweep_id = run_locally(creating, context=CONTEXT)

    assert wandb_devserver.faults.fired(failed) == 1
    assert [sweep.id for sweep in wandb_devserver.sweeps("local/e2e")] == [sweep_id]


def test_refusal_states_the_reason_of_the_server(wandb_devserver: DevServer) -> None:
    body = '{"errors": [{"message": "the plan of this team allows 3 sweeps"}]}'
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertSweep", status=400, body=body, count=None))
    with pytest.raises(flyte.errors.RuntimeUserError, match="allows 3 sweeps") as refused:
        run_locally(creating, context=CONTEXT)

    assert refused.value.code == "SweepCreateError"
    assert "WANDB_API_KEY" not in str(refused.value)


def malformed(operation: str, data: object) -> Fault:
    return Fault("graphql", operation=operation, status=200, body=json.dumps({"data": data}), count=None)


@pytest.mark.parametrize(
    "data",
    [None, {}, {"upsertSweep": None}, {"upsertSweep": {"sweep": None}}, {"upsertSweep": {"sweep": {"name": 1}}}, [1]],
)
def test_malformed_response_to_a_creation_is_a_named_error(data: object, wandb_devserver: DevServer) -> None:
    wandb_devserver.faults.add(malformed("UpsertSweep", data))
    with pytest.raises(flyte.errors.RuntimeUserError) as failed:
        run_locally(creating, context=CONTEXT)

    assert failed.value.code == "SweepCreateError"


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        ("CreateAgent", {"createAgent": None}),
        ("CreateAgent", {"createAgent": {"agent": {"id": None}}}),
        ("Heartbeat", {"agentHeartbeat": None}),
        ("Heartbeat", {"agentHeartbeat": {"commands": "{"}}),
        ("Heartbeat", {"agentHeartbeat": {"commands": '["run"]'}}),
        ("Heartbeat", {"agentHeartbeat": {"commands": '[{"type": "run"}]'}}),
        ("Heartbeat", {"agentHeartbeat": {"commands": '[{"type": "run", "run_id": "a", "args": [1]}]'}}),
    ],
)
def test_malformed_response_to_an_agent_is_a_named_error(
    operation: str, data: object, wandb_devserver: DevServer
) -> None:
    sweep = create_grid(1)
    wandb_devserver.faults.add(malformed(operation, data))
    with pytest.raises(flyte.errors.RuntimeUserError) as failed:
        run_locally(agent_of, sweep)

    assert failed.value.code == "SweepUnavailableError"


@pytest.mark.parametrize(
    "node",
    [
        None,
        {},
        {"name": "a", "config": "[]"},
        {"name": "a", "config": "{"},
        {"name": "a", "summaryMetrics": "1"},
        {"name": "a", "config": 1},
    ],
)
def test_malformed_trial_does_not_end_an_agent(node: Any, wandb_devserver: DevServer) -> None:
    """The result has what the agent itself knows."""
    page = {"edges": [{"node": node, "cursor": "1"}], "pageInfo": {"hasNextPage": False}}
    sweep = create_grid(7)
    wandb_devserver.faults.add(malformed("Runs", {"project": {"runs": page}}))
    result: AgentResult = run_locally(agent_of, sweep)

    assert [(trial.state, trial.config) for trial in result.trials] == [("finished", {"how": 7})]


@pytest.mark.parametrize("config", ["{", "[1]", "metric: 1", "- a: b: c"])
def test_unreadable_sweep_configuration_names_no_metric(config: str, wandb_devserver: DevServer) -> None:
    sweep = create_sweep("method: grid\nparameters: {how: {values: [1]}}")
    found = {"id": "1", "name": sweep.id, "state": "RUNNING", "description": None, "config": config}
    wandb_devserver.faults.add(malformed("GetSweep", {"project": {"sweep": found}}))

    assert SweepServer.of(None).look_up(sweep).metric == ""


STOPPED_BY_CTRL_C = """
import os, signal
import flyte
from flyteplugins.wandb import wandb_config, wandb_sweep, wandb_sweep_config

env = flyte.TaskEnvironment(name="script")

@wandb_sweep(method="random", parameters={"lr": {"min": 0.1, "max": 1.0}})
@env.task
async def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    await __import__("asyncio").sleep(60)

flyte.init()
flyte.with_runcontext(mode="local", custom_context=wandb_config(project="e2e")).run(interrupted)
"""


def test_sweep_is_stopped_at_exit_although_names_are_resolved_in_threads(
    wandb_devserver: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the interpreter exits, Python refuses work in threads."""
    monkeypatch.setenv("WANDB_BASE_URL", wandb_devserver.url.replace("127.0.0.1", "localhost"))
    script = tmp_path / "script.py"
    script.write_text(STOPPED_BY_CTRL_C)
    subprocess.run([sys.executable, script], check=False, capture_output=True, timeout=60)

    (sweep,) = wandb_devserver.sweeps("local/e2e")
    assert sweep.state == "FINISHED"
