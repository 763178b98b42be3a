"""Acknowledged data outlives the server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer

if TYPE_CHECKING:
    from pathlib import Path

from tests.support import loopback
from tests.wandb_devserver.support import RawClient, Scripts
from tests.wandb_devserver.test_files import upload_url

pytestmark = pytest.mark.slow


def start_command(data_dir: Path, port: int) -> subprocess.Popen[str]:
    """Start the command and return once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wandb_devserver", "--data-dir", str(data_dir), "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "WANDB_BASE_URL" in process.stdout.readline()
    return process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_acknowledged_data_survives_sigkill(tmp_path: Path) -> None:
    """Rows, summary, state, files and the key are there after a restart; links signed before still work."""
    data_dir, port = tmp_path / "data", free_port()
    with start_command(data_dir, port) as process:
        key = (data_dir / "api-key").read_text().strip()
        client = RawClient(_ServerProcess(f"http://127.0.0.1:{port}", key))  # type: ignore[arg-type]
        client.open_run("r", config='{"lr": {"value": 1}}')
        for step in range(50):
            assert client.stream_rows({"_step": step}, offset=step).status_code == 200
        assert loopback.put(upload_url(client, "a.txt"), content=b"kept").status_code == 200
        later = upload_url(client, "b.txt")
        client.http.close()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    with DevServer(data_dir, port=port) as server:
        assert loopback.put(later, content=b"late").status_code == 200
        run = server.run("local/p/r")

        assert server.api_key == key
        assert [row["_step"] for row in run.history] == list(range(50))
        assert run.config == {"lr": 1}
        assert {name: file.read_bytes() for name, file in run.files.items()} == {"a.txt": b"kept", "b.txt": b"late"}


def test_run_continues_after_the_server_was_killed(tmp_path: Path) -> None:
    """The SDK retries until the server is back; no row is lost or stored twice."""
    data_dir, port = tmp_path / "data", free_port()
    with start_command(data_dir, port) as process:
        key = (data_dir / "api-key").read_text().strip()
        scripts = Scripts(_ServerProcess(f"http://127.0.0.1:{port}", key), tmp_path)  # type: ignore[arg-type]
        program = scripts.start("""
run = wandb.init(project="p", id="r")
for value in range(100):
    run.log({"value": value})
report("half")
input()
for value in range(100, 200):
    run.log({"value": value})
run.finish()
""")
        assert program.stdout is not None
        while "@@" not in program.stdout.readline():
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    with DevServer(data_dir, port=port) as server, program:
        program.communicate("\n", timeout=90)
        run = server.run("local/p/r")

    assert [row["value"] for row in run.history] == list(range(200))
    assert run.state == "finished"


def test_unfinished_uploads_are_removed_at_the_next_start(tmp_path: Path) -> None:
    with DevServer(tmp_path):
        pass
    leftover = tmp_path / "blobs" / "incoming" / "0123"
    leftover.write_bytes(b"half")
    with DevServer(tmp_path):
        assert not leftover.exists()


class _ServerProcess:
    """The URL and the credentials of a server in another process."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self.api_key = api_key
        self.env = {"WANDB_BASE_URL": url, "WANDB_API_KEY": api_key}
