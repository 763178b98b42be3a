"""The command against a real server: files, output and exit codes.

Most calls are made by preloaded interpreters. The installed script is executed where the test is about standard
streams, or calls it for the first time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import wandb
from wandb_devserver import DevServer, Fault

from tests.support import loopback
from tests.support.preloaded.client import Interpreter, popen
from tests.wandb_artifacts.wandb_backend import WandbBackend

Process: TypeAlias = "Interpreter | subprocess.Popen[str]"
COMMAND = str(Path(sys.executable).with_name("wandb-artifacts"))
KEPT_LINE = "fetched data is kept, run the same command to resume"


@dataclass
class Command:
    """Runs the command in a separate folder and environment, and checks that its output never contains the key."""

    folder: Path
    environment: dict[str, str]
    secrets: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **environment) as process:
            return self.end(process, *arguments)

    def start(self, *arguments: str, **environment: str) -> Process:
        command = [sys.executable, "-m", "wandb_artifacts", *arguments]
        return popen(command, {**self.environment, **environment}, self.folder)

    def execute(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the installed script."""
        with self.start_script(*arguments, **environment) as process:
            return self.end(process, *arguments)

    def start_script(self, *arguments: str, stdout: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: Process, *arguments: str) -> subprocess.CompletedProcess[str]:
        output, errors = process.communicate(timeout=90)
        assert not any(secret in f"{output}{errors}" for secret in self.secrets)
        assert "Traceback" not in errors
        return subprocess.CompletedProcess(arguments, process.wait(), output, errors)


@pytest.fixture
def backend(wandb_devserver: DevServer) -> Iterator[WandbBackend]:
    auth = ("api", wandb_devserver.api_key)
    with loopback.Client(base_url=wandb_devserver.url, auth=auth, timeout=30) as http:
        yield WandbBackend(wandb_devserver, http)


@pytest.fixture
def command(backend: WandbBackend, tmp_path: Path) -> Command:
    folder = tmp_path / "here"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment = {**kept, **backend.server.env, "HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    return Command(folder, environment, [backend.server.api_key])


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("Downloading "))
    return line


def test_run_of_the_sdk_is_downloaded_and_verified(
    command: Command, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """Every file arrives, is verified, and is not fetched again."""
    (tmp_path / "model.txt").write_text("weights")
    with wandb.init(project="p", id="sdk", config={"lr": 0.1}) as run:
        run.save(str(tmp_path / "model.txt"), base_path=str(tmp_path))
        for step in range(20):
            run.log({"loss": 1 / (step + 1)})
    wandb_devserver.wait_for_run("local/p/sdk", "finished")

    done = command.execute("run", "local/p/sdk")
    again = command("run", "local/p/sdk")
    verified = command("verify", "sdk")

    folder = command.folder / "sdk"
    assert (done.returncode, again.returncode, verified.returncode) == (0, 0, 0), done.stderr
    assert (folder / "model.txt").read_text() == "weights"
    assert len(json.loads((folder / "metrics_history.json").read_text())) == 20
    assert json.loads((folder / "summary.json").read_text())["loss"] == 0.05
    assert done.stdout.startswith(f"run local/p/sdk (finished) is complete in {folder}\n")
    assert "20 rows of history" in done.stdout
    assert " 0 new (0 B)" not in done.stdout
    assert " new (" not in again.stdout
    assert "is complete and unchanged" in verified.stdout


def test_output_without_a_terminal_is_plain(command: Command, backend: WandbBackend) -> None:
    """One line names source and destination, without control sequences. --quiet prints nothing."""
    path = backend.run(files={"a": b"1"})
    done = command("run", path, "data")
    quiet = command("run", path, "data", "--quiet")

    assert done.stderr == f"Downloading run {path} to data\n"
    assert "\x1b" not in done.stdout
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_json_output_is_one_document(command: Command, backend: WandbBackend) -> None:
    """The document has results or errors."""
    path = backend.run(files={"a": b"1", "b": b"2"}, rows=[{"x": 1}], ends=False)
    backend.server.faults.add(Fault("download", target="b", status=404, count=None))
    partial = command("run", path, "--json")
    backend.server.faults.clear()
    whole = json.loads(command("run", path, "--json").stdout)
    lost = json.loads(command("run", "local/p/none", "--json").stdout)
    good = json.loads(command("verify", "r", "--json").stdout)

    found = json.loads(partial.stdout)
    assert partial.returncode == 1
    assert found["error"]["type"] == "IncompleteDownloadError"
    assert [failure["name"] for failure in found["failed"]] == ["b"]
    assert {file["name"]: file["state"] for file in whole["files"]}["b"] == "new"
    assert (whole["is_live"], whole["history_rows"], whole["run"]["id"]) == (True, 1, "r")
    assert "error" not in whole
    assert lost.keys() == {"error"}
    assert lost["error"]["type"] == "NotFoundError"
    assert good["is_good"]


def test_sweep_is_downloaded_into_one_folder_per_run(command: Command, backend: WandbBackend) -> None:
    """`ls` has one row per run."""
    path = backend.sweep(["s1", "s2"], files={"f": b"1"}, rows=[{"x": 1}])
    sweep = path.rpartition("/")[2]
    done = command("sweep", path)
    listed = command("ls", f"local/p/sweeps/{sweep}")
    as_json = json.loads(command("ls", "--sweep", sweep, "--json", WANDB_ENTITY="local", WANDB_PROJECT="p").stdout)

    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (command.folder / sweep).iterdir() if path.is_dir()) == ["s1", "s2"]
    assert f"sweep {path} (" in done.stdout
    assert "2 runs) is complete" in done.stdout
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["STATE", "finished", "finished"]
    assert [run["run"]["id"] for run in as_json["runs"]] == ["s1", "s2"]


def test_ls_lists_every_file_name(command: Command, backend: WandbBackend) -> None:
    """Control characters in names are escaped."""
    path = backend.run(files={"a.bin": b"x" * 1500, "evil\x1b[31m": b"", "ünïcode": b"1"})
    listed = command.execute("ls", path, PYTHONIOENCODING="ascii")
    as_json = json.loads(command("ls", path, "--json").stdout)

    assert [line.split()[-1] for line in listed.stdout.splitlines()] == [
        "NAME",
        "a.bin",
        "evil\\x1b[31m",
        "\\xfcn\\xefcode",
    ]
    assert "1.50 kB" in listed.stdout
    assert {file["name"]: file["size"] for file in as_json["files"]} == {"a.bin": 1500, "evil\x1b[31m": 0, "ünïcode": 1}
    assert all("url" not in file for file in as_json["files"])


def test_verify_names_every_difference(command: Command, backend: WandbBackend) -> None:
    """Changed, missing and unknown files are distinguished."""
    command("run", backend.run(files={"a": b"1", "b": b"2"}))
    (command.folder / "r/a").write_text("3")
    (command.folder / "r/b").unlink()
    (command.folder / "r/other").write_text("")
    done = command("verify", "r")

    assert (done.returncode, done.stdout) == (1, "")
    assert "  a: has other contents" in done.stderr
    assert "  b: is missing" in done.stderr
    assert "not part of the download:\n  other\n" in done.stderr


def test_verify_warns_about_stale_files(command: Command, backend: WandbBackend) -> None:
    """The exit code is 0."""
    path = backend.run(files={"a": b"1", "old": b"2"})
    command("run", path)
    backend.delete_files("r", "old")
    done = command("run", path)

    assert done.returncode == 0
    assert "Warning" in done.stderr
    assert done.stderr.endswith("\n  old\n")


def test_unfinished_run_is_reported(command: Command, backend: WandbBackend) -> None:
    """More files may be logged later."""
    done = command("run", backend.run(rows=[{"x": 1}], ends=False))

    assert done.returncode == 0
    assert "still active" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "expected"),
    [
        (["run", "local/p/r"], {"WANDB_API_KEY": ""}, 3, "No W&B API key"),
        (["run", "local/p/r"], {"WANDB_API_KEY": "w" * 40}, 3, "rejected the API key"),
        (["ls", "local/p/r"], {"WANDB_API_KEY": ""}, 3, "No W&B API key"),
        (["run", "local/p/none"], {}, 4, "run local/p/none"),
        (["sweep", "local/p/none"], {}, 4, "sweep local/p/none"),
        (["ls", "local/p/none"], {}, 4, "local/p/none"),
        (["run", "local/p/r", "--deadline", "0.001"], {}, 5, "deadline"),
        (["run", "local/p/r", "/dev/null/x"], {}, 6, "/dev/null"),
        (["run", "local/p/r", "nosuch://x/y"], {}, 2, "DEST"),
    ],
)
def test_each_failure_prints_one_line_and_has_an_exit_code(
    command: Command, backend: WandbBackend, arguments: list[str], environment: dict[str, str], code: int, expected: str
) -> None:
    backend.run()
    done = command(*arguments, **environment)

    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert error_line(done).startswith("Error: ")
    assert expected in error_line(done)


def test_unreachable_server_fails_after_the_timeout(command: Command, backend: WandbBackend) -> None:
    """The error names the cause."""
    done = command("run", "local/p/r", "--deadline", "1", WANDB_BASE_URL="http://127.0.0.1:9")

    assert done.returncode == 5
    assert "no connection" in error_line(done)


def test_host_option_selects_the_server(command: Command, backend: WandbBackend) -> None:
    """The server that --host names receives the key."""
    path = backend.run(files={"a": b"1"})
    done = command("run", path, "--host", backend.server.url, WANDB_BASE_URL="http://127.0.0.1:9")

    assert done.returncode == 0, done.stderr


@contextmanager
def download_that_hangs(command: Command, backend: WandbBackend, *arguments: str, **given: Any) -> Iterator[Process]:
    """Start a download of which one file is complete and another is half complete."""
    small, big = b"1", b"x" * 2_000_000
    path = backend.run(files={"small": small, "big": big})
    backend.server.faults.add(Fault("download", target="big", drop_after=1_000_000))
    hanging = backend.server.faults.add(Fault("download", target="big", delay=60, status=503))
    with command.start("run", path, *arguments, **given) as process:
        try:
            backend.server.faults.wait(hanging)
            yield process
        finally:
            process.kill()
    backend.server.faults.clear()


@pytest.mark.parametrize(
    ("number", "kind", "code"), [(signal.SIGINT, "Interrupted", 130), (signal.SIGTERM, "Terminated", 143)]
)
def test_interrupted_download_resumes(
    command: Command, backend: WandbBackend, number: signal.Signals, kind: str, code: int
) -> None:
    """It prints one line and leaves no partial file under a final name; the next call fetches what is missing."""
    with download_that_hangs(command, backend, "--json") as process:
        process.send_signal(number)
        done = command.end(process)
    left = {path.name for path in (command.folder / "r").iterdir()}
    again = json.loads(command("run", "local/p/r", "--json").stdout)

    assert done.returncode == code
    assert KEPT_LINE in error_line(done)
    assert json.loads(done.stdout)["error"]["type"] == kind
    assert "small" in left
    assert "big" not in left
    assert {file["name"]: file["state"] for file in again["files"]}["small"] == "kept"
    assert (command.folder / "r/big").read_bytes() == b"x" * 2_000_000


def test_second_download_into_a_folder_is_refused(command: Command, backend: WandbBackend) -> None:
    with download_that_hangs(command, backend):
        done = command("run", "local/p/r")

    assert done.returncode == 6, done.stderr
    assert str(command.folder / "r") in error_line(done)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False).returncode:
        pytest.skip("this machine does not permit mounting a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_fails_with_one_line(command: Command, backend: WandbBackend, small_disk: Path) -> None:
    """With more room, the same command completes the download."""
    path = backend.run(files={"big": b"x" * 3_000_000, "small": b"1"})
    done = command("run", path, str(small_disk))
    left = {path.name for path in small_disk.iterdir()}
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    again = command("run", path, str(small_disk))

    assert done.returncode == 6
    assert "no space left" in error_line(done)
    assert "big" not in left
    assert again.returncode == 0, again.stderr
    assert (small_disk / "big").stat().st_size == 3_000_000


def test_closed_pipe_is_silent(command: Command, backend: WandbBackend) -> None:
    """`| head` closes the pipe."""
    path = backend.run(files={"a": b"1"})
    reading, writing = os.pipe()
    os.close(reading)
    with command.start_script("ls", path, stdout=writing) as process:
        os.close(writing)
        done = command.end(process)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_unwritable_standard_output_is_an_error(command: Command, backend: WandbBackend) -> None:
    path = backend.run(files={"a": b"1"})
    with Path("/dev/full").open("w") as full, command.start_script("ls", path, stdout=full.fileno()) as process:
        done = command.end(process)

    assert done.returncode == 6
    assert "Cannot write to standard output" in error_line(done)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_progress_bars_are_drawn_on_a_terminal(command: Command, backend: WandbBackend) -> None:
    """One bar per file and one in total; Ctrl-C restores the terminal."""
    screen, terminal = os.openpty()
    path = backend.run(files={"[b]big": b"x" * 2_000_000})
    backend.server.faults.add(Fault("download", drop_after=1_000_000))
    backend.server.faults.add(Fault("download", delay=60, status=503))
    environment = {**command.environment, "TERM": "xterm", "COLUMNS": "120"}
    arguments = [COMMAND, "run", path]
    with subprocess.Popen(
        arguments, cwd=command.folder, env=environment, stdout=subprocess.PIPE, stderr=terminal
    ) as process:
        os.close(terminal)
        seen = b""
        while not (b"[b]big" in seen and b"total" in seen and b"of 2.00 MB" in seen):
            seen += os.read(screen, 4096)
        process.send_signal(signal.SIGINT)
        seen += read_to_the_end(screen)
        output, _ = process.communicate(timeout=30)

    assert (process.returncode, output) == (130, b"")
    assert KEPT_LINE.encode() in seen
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l") >= 0
    assert backend.server.api_key.encode() not in seen


def read_to_the_end(screen: int) -> bytes:
    seen = b""
    while True:
        try:
            found = os.read(screen, 4096)
        except OSError:  # Linux reports a closed terminal this way.
            found = b""
        if not found:
            os.close(screen)
            return seen
        seen += found
