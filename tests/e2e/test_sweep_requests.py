"""Requests of wandb-sweeps equal those of the SDK, so that W&B accepts both."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import wandb
from graphql import FieldNode, ObjectValueNode, OperationDefinitionNode, SelectionSetNode, parse, print_ast
from wandb.agents.pyagent import Agent
from wandb.util import load_yaml
from wandb_artifacts.client import Client, Connection
from wandb_devserver import DevServer
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import api
from wandb_sweeps._server.manage import OwnSweep, as_yaml, end

from tests.e2e.support import set_sweep_state
from tests.support import loopback

CONFIG = {"method": "grid", "name": "named", "description": "for", "parameters": {"lr": {"values": [1.5, 1e-5]}}}


@dataclass(frozen=True)
class Request:
    """A GraphQL request, reduced to what a server distinguishes."""

    variables: dict[str, Any]
    declared: dict[str, str]
    """Variable types by name."""
    requested: frozenset[str]
    """Paths of the requested fields, including those of their arguments."""


def paths(selected: SelectionSetNode | None, above: str = "") -> Iterator[str]:
    """Paths of fields, and of the arguments and their keys: `upsertSweep(input.config)`."""
    for node in selected.selections if selected else ():
        assert isinstance(node, FieldNode)
        path = f"{above}{node.name.value}"
        yield path
        for argument in node.arguments or ():
            assert isinstance(argument.value, ObjectValueNode)
            yield from (f"{path}({argument.name.value}.{key.name.value})" for key in argument.value.fields)
        yield from paths(node.selection_set, f"{path}.")


def request_of(body: dict[str, Any]) -> Request:
    (operation,) = (node for node in parse(body["query"]).definitions if isinstance(node, OperationDefinitionNode))
    declared = {node.variable.name.value: print_ast(node.type) for node in operation.variable_definitions or ()}
    given = {name: value for name, value in body["variables"].items() if value is not None}
    return Request(given, declared, frozenset(paths(operation.selection_set)))


class Recorder:
    """Recorded requests, in the order of their responses."""

    def __init__(self) -> None:
        self._bodies: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def note(self, content: bytes) -> None:
        with self._changed:
            self._bodies.append(json.loads(content))
            self._changed.notify_all()

    def seen(self, operation: str) -> list[Request]:
        return [request_of(body) for body in list(self._bodies) if f"mutation {operation}(" in body["query"]]

    def wait(self, operation: str, until: Callable[[Request], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(until(request) for request in self.seen(operation)), 30)

    def during(self, act: Callable[[], object]) -> Callable[[str], list[Request]]:
        self._bodies.clear()
        act()
        recorded = Recorder()
        recorded._bodies = self._bodies.copy()
        return recorded.seen


@pytest.fixture
def recorder(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A proxy between client and server that records requests."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers.get(name, "") for name in ("Authorization", "Content-Type")}
            reply = loopback.post(wandb_devserver.url + self.path, content=content, headers=headers)
            if self.path == "/graphql":
                recorder.note(content)
            self.send_response(reply.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        yield recorder
        wandb.teardown()
        server.shutdown()


def create_as_the_sdk() -> str:
    sweep_id: str = wandb.sweep(dict(CONFIG), entity="local", project="e2e", prior_runs=["a", "b"])
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        os.environ.pop(name, None)
    return sweep_id


def create_as_we_do() -> str:
    made = api.upsert_sweep(
        Client(),
        what="a sweep",
        config=as_yaml(CONFIG),
        description=CONFIG["description"],
        displayName=CONFIG["name"],
        entityName="local",
        projectName="e2e",
        priorRunsFilters=json.dumps({"$or": [{"name": "a"}, {"name": "b"}]}),
    )
    sweep_id: str = made.sweep.name
    return sweep_id


# `wandb.sweep` uses a deprecated API of the SDK.
@pytest.mark.filterwarnings("ignore:Read the `app_url` setting:DeprecationWarning")
def test_sweep_is_created_with_the_variables_of_the_sdk(recorder: Recorder) -> None:
    """Variables that are not needed are left out."""
    (theirs,) = recorder.during(create_as_the_sdk)("UpsertSweep")
    (own,) = recorder.during(create_as_we_do)("UpsertSweep")

    configs = [load_yaml(request.variables.pop("config")) for request in (theirs, own)]
    filters = [json.loads(request.variables.pop("priorRunsFilters")) for request in (theirs, own)]
    assert configs[0] == configs[1]
    assert filters[0] == filters[1]
    # The SDK has a variable for the name, but sends the name only in the configuration.
    assert own.variables.pop("displayName") == CONFIG["name"]
    assert own.variables == {name: theirs.variables[name] for name in own.variables}
    assert theirs.variables.keys() - own.variables.keys() <= {"launchScheduler", "templateVariableValues"}
    # The requests of `wandb sweep --stop` and similar commands: see below.
    assert own.declared.items() - {("state", "String")} <= theirs.declared.items()
    assert (
        own.requested - {"upsertSweep(input.state)", "upsertSweep.sweep.id", "upsertSweep.sweep.state"}
        <= theirs.requested
    )


def test_sweep_is_stopped_as_by_the_sdk(recorder: Recorder) -> None:
    sweep_id = create_as_we_do()
    command = [sys.executable, "-m", "wandb", "sweep", "--stop", f"local/e2e/{sweep_id}"]
    (theirs,) = recorder.during(lambda: subprocess.run(command, check=True))("UpsertSweep")
    client = Client()
    location = SweepLocation(sweep_id, "local", "e2e", client.host)
    found = api.find_sweep(client, location)
    assert found is not None
    own_sweep = OwnSweep(location, found.id, Connection())
    set_sweep_state(str(location.ref), "RUNNING")
    (own,) = recorder.during(lambda: end(own_sweep, "FINISHED", has_failed=False))("UpsertSweep")

    # By its last line another attempt of the task finds the sweep.
    assert own.variables.pop("description") == CONFIG["description"]
    assert own.variables == theirs.variables
    assert own.declared.items() & theirs.declared.items() >= {("id", "ID"), ("state", "String")}
    assert {"upsertSweep(input.id)", "upsertSweep(input.state)"} <= own.requested & theirs.requested


def names_a_run(heartbeat: Request) -> bool:
    return bool(json.loads(heartbeat.variables["runState"]))


def test_agent_requests_equal_those_of_the_sdk(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registration, request of a trial and heartbeat."""
    sweep_id = create_as_we_do()
    monkeypatch.setattr(Agent, "HEARTBEAT_SLEEP_SECONDS", 0.2)

    def act_as_the_sdk() -> None:
        until_heartbeat = functools.partial(recorder.wait, "Heartbeat", names_a_run)
        wandb.agent(sweep_id, function=until_heartbeat, entity="local", project="e2e", count=1)

    def act_as_we_do() -> None:
        client = Client()
        agent = api.create_agent(client, SweepLocation(sweep_id, "local", "e2e", client.host), socket.gethostname())
        commands = api.heartbeat(client, agent, None)
        assert commands
        api.heartbeat(client, agent, commands[0].run_id)

    theirs, own = recorder.during(act_as_the_sdk), recorder.during(act_as_we_do)
    assert own("CreateAgent") == theirs("CreateAgent")
    ours_told, theirs_told = own("Heartbeat"), theirs("Heartbeat")[:2]
    for heartbeat in (*ours_told, *theirs_told):
        del heartbeat.variables["id"]
    for _, busy in (ours_told, theirs_told):
        assert busy.variables.pop("runState").endswith(": true}")
    assert ours_told == theirs_told
