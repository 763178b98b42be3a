"""Responses of other shapes than W&B's: each raises one error, which names the field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import ServerAnswerError
from wandb_artifacts.client import Client
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import api

from tests.wandb_artifacts.hostile_server import HostileServer, open_hostile_server, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SWEEP = SweepLocation("s", "e", "p", "http://127.0.0.1")
NODE = {"id": "1", "name": "s", "state": "RUNNING"}
RUN = {"name": "r", "state": "finished"}


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with pytest.MonkeyPatch.context() as monkeypatch, open_hostile_server(monkeypatch) as server:
        yield server


def heartbeat(commands: object) -> dict[str, Any]:
    text = commands if isinstance(commands, str) else json.dumps(commands)
    return {"agentHeartbeat": {"agent": {"id": "a"}, "commands": text}}


def upsert(**changes: object) -> dict[str, Any]:
    project = {"name": "p", "entity": {"name": "e"}}
    return {"upsertSweep": {"sweep": {"id": "1", "name": "s", "project": project, **changes}}}


def runs(**changes: object) -> dict[str, Any]:
    return {"project": {"runs": page({**RUN, **changes})}}


REQUESTS: dict[str, Callable[[Client], object]] = {
    "Heartbeat": lambda client: api.heartbeat(client, "a", None),
    "CreateAgent": lambda client: api.create_agent(client, SWEEP, "host"),
    "GetSweep": lambda client: api.find_sweep(client, SWEEP),
    "GetSweeps": lambda client: list(api.list_sweeps(client, "e", "p")),
    "UpsertSweep": lambda client: api.upsert_sweep(client, what="the sweep"),
    "RunIds": lambda client: list(api.list_trials(client, SWEEP, {})),
}
WRONG = [
    ("Heartbeat", {}, "agentHeartbeat"),
    ("Heartbeat", {"agentHeartbeat": None}, "agentHeartbeat"),
    ("Heartbeat", {"agentHeartbeat": {"commands": []}}, "agentHeartbeat.commands"),
    ("Heartbeat", heartbeat("no JSON"), "commands"),
    ("Heartbeat", heartbeat("[" * 100_000), "commands"),
    ("Heartbeat", heartbeat({"type": "run"}), "commands"),
    ("Heartbeat", heartbeat([None]), r"commands: .*\[0\]"),
    ("Heartbeat", heartbeat([{"run_id": "r"}]), "type"),
    ("Heartbeat", heartbeat([{"type": 1}]), r"\[0\].type"),
    ("Heartbeat", heartbeat([{"type": "run"}]), "run_id"),
    ("Heartbeat", heartbeat([{"type": "run", "run_id": ["r"]}]), r"\[0\].run_id"),
    ("Heartbeat", heartbeat([{"type": "run", "run_id": "r", "args": [1]}]), r"\[0\].args"),
    ("Heartbeat", heartbeat([{"type": "run", "run_id": "r", "args": {"lr": 1}}]), r"\[0\].args"),
    ("CreateAgent", {"createAgent": {"agent": {"id": 1}}}, "createAgent.agent.id"),
    ("CreateAgent", {"createAgent": None}, "createAgent"),
    ("GetSweep", {"project": []}, "project"),
    ("GetSweep", {"project": {"sweep": {**NODE, "id": None}}}, "project.sweep.id"),
    ("GetSweep", {"project": {"sweep": {**NODE, "config": {}}}}, "project.sweep.config"),
    ("GetSweeps", {"project": {"sweeps": page({**NODE, "description": 1})}}, "description"),
    ("GetSweeps", {"project": {"sweeps": page(None)}}, "node"),
    ("UpsertSweep", {"upsertSweep": {"sweep": None}}, "upsertSweep.sweep"),
    ("UpsertSweep", upsert(name=""), "upsertSweep.sweep.name"),
    ("UpsertSweep", upsert(project={"name": "p", "entity": None}), "upsertSweep.sweep.project.entity"),
    ("RunIds", runs(name=None), "name"),
    ("RunIds", runs(config="[]"), "config"),
    ("RunIds", runs(config="{"), "config"),
    ("RunIds", runs(summaryMetrics="1"), "summaryMetrics"),
    ("RunIds", runs(summaryMetrics={}), "summaryMetrics"),
]


@pytest.mark.parametrize(("operation", "data", "field"), WRONG)
def test_wrong_shape_raises_an_error_with_the_field(
    server: HostileServer, operation: str, data: dict[str, Any], field: str
) -> None:
    server.documents[operation] = data

    with pytest.raises(ServerAnswerError, match=field):
        REQUESTS[operation](Client())


def test_commands_of_unknown_types_are_accepted(server: HostileServer) -> None:
    server.documents["Heartbeat"] = heartbeat([{"type": "dance"}, {"type": "run", "run_id": "r", "args": None}])

    commands = api.heartbeat(Client(), "a", None)

    assert [(command.type, command.starts_trial) for command in commands or ()] == [("dance", False), ("run", True)]
