"""A devserver with a configurable latency and with runs in it, shared by the benchmarks of downloads.

As a script: `python benchmarks/slow_devserver.py FOLDER [EXPORT_AFTER]` serves until its input ends; after a line
`SECONDS` it delays each GraphQL response and each download by that time, and after a line `requests` it prints how many
it has served.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.request import Request, urlopen

UPSERT = "mutation U($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { name } } }"
CREATE_FILES = "mutation C($input: CreateRunFilesInput!) { createRunFiles(input: $input) { files { name uploadUrl } } }"
SWEEP = "mutation S($input: UpsertSweepInput!) { upsertSweep(input: $input) { sweep { name } } }"
LINES = 10_000


@dataclass(frozen=True)
class SlowServer:
    """A server in a separate process."""

    env: dict[str, str]
    pid: int
    orders: IO[str]
    replies: IO[str]

    def slow_down(self, seconds: float) -> None:
        self.orders.write(f"{seconds}\n")
        self.orders.flush()

    def requests(self) -> int:
        """The number of GraphQL requests and downloads so far."""
        self.orders.write("requests\n")
        self.orders.flush()
        return int(self.replies.readline())

    def send(self, path: str, body: object, method: str = "POST") -> Any:
        import base64

        url = path if "://" in path else f"{self.env['WANDB_BASE_URL']}/{path}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        key = base64.b64encode(f"api:{self.env['WANDB_API_KEY']}".encode()).decode()
        headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
        with urlopen(Request(url, data, headers, method=method)) as response:
            text = response.read()
        return json.loads(text) if text else None

    def ask(self, query: str, **given: object) -> Any:
        response = self.send("graphql", {"query": query, "variables": {"input": given}})
        assert "errors" not in response, response
        return response["data"]

    def sweep(self) -> str:
        config = json.dumps({"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}})
        made = self.ask(SWEEP, config=config, projectName="bench", entityName="local")
        return str(made["upsertSweep"]["sweep"]["name"])

    def run(
        self,
        name: str,
        files: Mapping[str, bytes],
        rows: int,
        make_row: Callable[[int], str] | None = None,
        **fields: object,
    ) -> None:
        """Makes a finished run."""
        place = {"projectName": "bench", "entityName": "local", "runName": name}
        self.ask(UPSERT, name=name, modelName="bench", entityName="local", **fields)
        if files:
            for target in self.ask(CREATE_FILES, files=list(files), **place)["createRunFiles"]["files"]:
                self.send(target["uploadUrl"], files[target["name"]], "PUT")
        for first in range(0, rows, LINES):
            lines = [(make_row or row)(step) for step in range(first, min(first + LINES, rows))]
            self.stream(name, {"files": {"wandb-history.jsonl": {"offset": first, "content": lines}}})
        self.stream(name, {"complete": True, "exitcode": 0})

    def stream(self, name: str, message: Mapping[str, object]) -> None:
        self.send(f"files/local/bench/{name}/file_stream", message)


def row(step: int) -> str:
    """A row as a training loop logs it."""
    values = {"_step": step, "_timestamp": 1.7e9 + step, "_runtime": step * 0.1}
    values |= {"loss": 1 / (step + 1), "accuracy": step / (step + 7), "lr": 0.1, "epoch": step // 100}
    return json.dumps(values)


@contextmanager
def slow_devserver(folder: str, export_after: int | None = None) -> Iterator[SlowServer]:
    """Starts a server without latency; the environment of this process points at it."""
    command = [sys.executable, __file__, folder, *([] if export_after is None else [str(export_after)])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        env = json.loads(process.stdout.readline())
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            del os.environ[name]
        os.environ.update(env, WANDB_SILENT="true", WANDB_DIR=folder)
        try:
            yield SlowServer(env, process.pid, process.stdin, process.stdout)
        finally:
            process.stdin.close()


def main() -> None:
    from wandb_devserver import DevServer, Fault

    export_after = int(sys.argv[2]) if len(sys.argv) > 2 else None
    with DevServer(data_dir=sys.argv[1], export_after=export_after) as server:
        print(json.dumps(server.env), flush=True)
        for line in sys.stdin:
            if line.strip() == "requests":
                print(server.requests.count("graphql") + server.requests.count("download"), flush=True)
                continue
            server.faults.clear()
            if float(line):
                server.faults.add(Fault("graphql", delay=float(line), count=None))
                server.faults.add(Fault("download", delay=float(line), count=None))


if __name__ == "__main__":
    main()
