"""The `wandb-devserver` command."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import loopback
from tests.support.preloaded.client import popen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.preloaded.client import Interpreter

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "wandb_devserver"]


def start_command(folder: Path, *arguments: str) -> Interpreter | subprocess.Popen[str]:
    return popen([*COMMAND, *arguments], {**os.environ, "PYTHONUNBUFFERED": "1"}, folder)


def run_command(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code, the output and the errors."""
    with start_command(folder, *arguments) as process:
        output, errors = process.communicate(timeout=60)
        return process.wait(), output, errors


def read_variables(process: Interpreter | subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    found = dict(re.findall(r"^export (\w+)=(\S+)$", "".join(lines), re.MULTILINE))
    found["entity"] = lines[3].removeprefix("# entity: ").strip()
    found["data"] = lines[4].removeprefix("# data: ").strip()
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_command_with_exit_code_0(tmp_path: Path, number: signal.Signals) -> None:
    """The command prints its variables, serves requests, and exits without a traceback."""
    arguments = ["--port", "0", "--data-dir", str(tmp_path / "data"), "--entity", "team"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        variables = read_variables(process)
        with loopback.Client(auth=("api", variables["WANDB_API_KEY"])) as client:
            response = client.post(variables["WANDB_BASE_URL"] + "/graphql", json={"query": "{ viewer { entity } }"})
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)

    assert response.json()["data"]["viewer"]["entity"] == variables["entity"] == "team"
    assert variables["data"] == str(tmp_path / "data")
    assert (process.returncode, errors) == (0, "")


def test_api_key_is_stored_once_per_data_directory(tmp_path: Path) -> None:
    """The SDK accepts the key, and only the owner can read its file."""
    keys = []
    for _ in range(2):
        with start_command(tmp_path, "--port", "0", "--data-dir", str(tmp_path)) as process:
            keys.append(read_variables(process)["WANDB_API_KEY"])
            process.send_signal(signal.SIGTERM)
    kept = tmp_path / "api-key"

    assert keys[0] == keys[1] == kept.read_text().strip()
    assert re.fullmatch(r"\w{40,}", keys[0])
    assert kept.stat().st_mode & 0o777 == 0o600


def test_non_loopback_host_logs_a_warning(tmp_path: Path) -> None:
    arguments = ["--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path)]
    with start_command(tmp_path, *arguments) as process:
        read_variables(process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)

    assert "--host 0.0.0.0 accepts connections from other machines" in errors


def test_invalid_option_exits_1_with_one_line(tmp_path: Path) -> None:
    """The line has the option, its value and what to do, and never the key."""
    (tmp_path / "file").write_text("")
    data, below = ["--data-dir", str(tmp_path / "data")], str(tmp_path / "file" / "below")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        free = ["--port", "0", *data]
        cases = [
            (["--port", port, *data], ["--port", port, "another port"]),
            (["--api-key", "short-secret", *free], ["--api-key", "6 characters", "longer"]),
            (["--api-key", "!" * 50, *free], ["--api-key", "letters"]),
            (["--data-dir", below, "--port", "0"], ["--data-dir", "below", "use another folder"]),
            (["--heartbeat-timeout", "0", *free], ["--heartbeat-timeout", "0.0", "above 0"]),
            (["--entity", "a/b", *free], ["--entity", "a/b", "without '/'"]),
            (["--host", "256.1.1.1", *free], ["--host", "256.1.1.1"]),
        ]
        for arguments, expected in cases:
            exit_code, _, errors = run_command(tmp_path, *arguments)

            assert exit_code == 1, arguments
            assert len(errors.strip().splitlines()) == 1, errors
            assert all(part in errors for part in expected), errors
            assert "secret" not in errors.replace("short-secret", "secret")


def test_api_key_is_not_logged(tmp_path: Path) -> None:
    """The output has the key only in the line to paste."""
    key = "k" * 45
    with start_command(tmp_path, "--port", "0", "--data-dir", str(tmp_path), "--api-key", key) as process:
        url = read_variables(process)["WANDB_BASE_URL"]
        for auth in (("api", key), ("api", "wrong")):
            loopback.post(url + "/graphql", json={"query": "{ nothing }"}, auth=auth)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=30)

    assert key not in output + errors


def test_help_lists_every_option_and_default(tmp_path: Path) -> None:
    """The help also states how to stop the server."""
    _, text, _ = run_command(tmp_path, "--help")

    for part in ("--host", "127.0.0.1", "--port", "8080", "--data-dir", "--api-key", "--entity", "300", "Ctrl-C"):
        assert part in text


def test_export_history_without_pyarrow_is_refused(tmp_path: Path) -> None:
    """The message names the option and what to install; nothing is started."""
    script = "import sys; sys.modules['pyarrow'] = None; from wandb_devserver._cli import main; main()"
    arguments = ["--port", "0", "--data-dir", str(tmp_path / "data"), "--export-history", "10"]
    with popen([sys.executable, "-c", script, *arguments], os.environ, tmp_path) as process:
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "--export-history is 10: exports need pyarrow" in errors
    assert "pip install 'wandb-devserver[parquet]'" in errors
    assert not (tmp_path / "data").exists()
