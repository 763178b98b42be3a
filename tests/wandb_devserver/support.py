"""Scripts with the real wandb SDK, each in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx

from tests.support import loopback
from tests.support.preloaded.client import popen
from tests.support.sdk_settings import LIGHT_RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self
    from wandb_devserver import DevServer, RunRecord

    from tests.support.preloaded.client import Interpreter

PRELUDE = """
import json, os, sys
import wandb
def report(value):
    print("\\n@@" + json.dumps(value), flush=True)
"""

# Retries within seconds, so that a failure shows; the SDK takes whole seconds only.
QUICK = {
    "WANDB_X_GRAPHQL_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "1",
    "WANDB_X_FILE_STREAM_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB_X_FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "1",
    "WANDB_X_FILE_TRANSFER_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB_X_FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "1",
    "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1",
}


@dataclass(frozen=True)
class Scripts:
    """Runs scripts against one server, in one folder."""

    server: DevServer
    folder: Path

    def env(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        folders = {name: str(self.folder) for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
        return {**kept, **folders, "WANDB_SILENT": "true", **QUICK, **LIGHT_RUNS, **self.server.env, **extra}

    def start(self, script: str, **extra: str) -> Interpreter | subprocess.Popen[str]:
        return popen([sys.executable, "-c", PRELUDE + script], self.env(**extra), self.folder)

    def exit_code(self, script: str, **extra: str) -> int:
        with self.start(script, **extra) as process:
            process.communicate(timeout=90)
            return process.wait()

    def run(self, script: str, **extra: str) -> Any:
        """Run a script that must succeed, and return its last report."""
        with self.start(script, **extra) as process:
            output, errors = process.communicate(timeout=90)
        assert process.returncode == 0, output + errors
        reports = [line[2:] for line in output.splitlines() if line.startswith("@@")]
        return json.loads(reports[-1]) if reports else None

    def command(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run `wandb` itself."""
        command = [sys.executable, "-m", "wandb", *arguments]
        with popen(command, self.env(**extra), self.folder) as process:
            output, errors = process.communicate(timeout=90)
        assert process.returncode == 0, output + errors
        return subprocess.CompletedProcess(command, 0, output, errors)


class RawClient:
    """A client that sends single requests of the protocol, also those that the SDK sends only on failures."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self.http = loopback.Client(base_url=server.url, auth=("api", server.api_key), timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if "pages" in self.__dict__:
            self.pages.close()

    @cached_property
    def pages(self) -> httpx.Client:
        """A client that is signed in as a browser is, and sends no API key."""
        client = loopback.Client(base_url=self.server.url, timeout=30)
        client.post("/-/sign-in", data={"key": self.server.api_key})
        return client

    def graphql(self, query: str, headers: dict[str, str] | None = None, **variables: object) -> httpx.Response:
        return self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)

    def data(self, query: str, **variables: object) -> Any:
        response = self.graphql(query, None, **variables).json()
        assert "errors" not in response, response
        return response["data"]

    def open_run(self, name: str, project: str = "p", headers: dict[str, str] | None = None, **fields: object) -> Any:
        response = self.graphql(UPSERT, headers, input={"name": name, "modelName": project, **fields}).json()
        assert "errors" not in response, response
        return response["data"]["upsertBucket"]["bucket"]

    def stream(
        self, message: dict[str, object], run: str = "local/p/r", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return self.http.post(f"/files/{run}/file_stream", json=message, headers=headers)

    def stream_rows(self, *rows: Mapping[str, object], offset: int = 0, run: str = "local/p/r") -> httpx.Response:
        lines = [json.dumps(row) for row in rows]
        return self.stream({"files": {"wandb-history.jsonl": {"offset": offset, "content": lines}}}, run)

    def upload(self, name: str, content: bytes, run: str = "r", project: str = "p") -> httpx.Response:
        given = {"entityName": "local", "projectName": project, "runName": run, "files": [name]}
        (file,) = self.data(CREATE_RUN_FILES, input=given)["createRunFiles"]["files"]
        return loopback.put(file["uploadUrl"], content=content)

    def sweep(self, config: object = None, project: str = "p", **fields: object) -> RawSweep:
        """Create a sweep; a mapping is sent as JSON, which is valid YAML."""
        text = config if isinstance(config, str) else json.dumps(config)
        response = self.data(UPSERT_SWEEP, input={"config": text, "projectName": project, **fields})["upsertSweep"]
        return RawSweep(self, response["sweep"]["id"], response["sweep"]["name"], project)


@dataclass(frozen=True)
class RawSweep:
    """A sweep, with the requests of agents and of the command line."""

    raw: RawClient
    node: str
    name: str
    project: str

    @property
    def path(self) -> str:
        return f"local/{self.project}/{self.name}"

    def set(self, **fields: object) -> None:
        self.raw.data(UPSERT_SWEEP, input={"id": self.node, **fields})

    @property
    def state(self) -> str:
        return self.raw.server.sweep(self.path).state

    def trials(self) -> list[RunRecord]:
        return self.raw.server.sweep(self.path).trials

    def agent(self, host: str = "here") -> RawAgent:
        given = {"host": host, "sweep": self.name, "projectName": self.project}
        return RawAgent(self, self.raw.data(CREATE_AGENT, input=given)["createAgent"]["agent"]["id"])


@dataclass(frozen=True)
class RawAgent:
    """An agent that sends only the requests that a test makes."""

    sweep: RawSweep
    node: str

    def beat(self, *running: str) -> Any:
        """Send a heartbeat and return the command in the response, or None."""
        given = {"id": self.node, "metrics": "{}", "runState": json.dumps(dict.fromkeys(running, True))}
        commands = json.loads(self.sweep.raw.data(HEARTBEAT, input=given)["agentHeartbeat"]["commands"])
        assert len(commands) < 2
        return commands[0] if commands else None

    def start(self) -> str:
        """Request a trial, start it, and return its run id."""
        command = self.beat()
        assert command["type"] in ("run", "resume"), command
        self.sweep.raw.open_run(command["run_id"], self.sweep.project, sweep=self.sweep.name)
        return str(command["run_id"])

    def end(self, run: str, exit_code: int = 0) -> None:
        self.sweep.raw.stream({"complete": True, "exitcode": exit_code}, f"local/{self.sweep.project}/{run}")


CREATE_RUN_FILES = """
mutation CreateRunFiles($input: CreateRunFilesInput!) { createRunFiles(input: $input) { files { name uploadUrl } } }
"""
UPSERT_SWEEP = """
mutation UpsertSweep($input: UpsertSweepInput!) {
  upsertSweep(input: $input) { sweep { id name } configValidationWarnings }
}
"""
CREATE_AGENT = """
mutation CreateAgent($input: CreateAgentInput!) { createAgent(input: $input) { agent { id } } }
"""
HEARTBEAT = """
mutation Heartbeat($input: AgentHeartbeatInput!) { agentHeartbeat(input: $input) { agent { id } commands } }
"""
UPSERT = """
mutation UpsertBucket($input: UpsertBucketInput!) {
  upsertBucket(input: $input) { bucket { id name displayName historyLineCount } inserted }
}
"""
