"""Interpreters that start in milliseconds: forked from a process that has imported what takes long.

Only on Linux: elsewhere a fork after imports is not safe, and `is_available` is False.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.preloaded.program import Program
from tests.support.preloaded.server import FORK, LIFELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

is_available = sys.platform == "linux"
_SERVER = "tests.support.preloaded.server"
_REPOSITORY = Path(__file__).parents[3]
NAME = "TEST_PRELOADED"
"""The variable that names the server to programs that a test starts."""


class Server:
    """The client's side of the process that forks, which the first worker of a test run starts."""

    def __init__(self) -> None:
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
        self.name = os.environ.get(NAME, f"preloaded-{run}")
        # An abstract socket name: nothing is left in the file system.
        self._address = f"\0{self.name}"
        self._lock = threading.Lock()
        self._is_ready = False
        try:
            self._lifeline = self._connect(LIFELINE)
        except ConnectionRefusedError:
            self._start()
            self._lifeline = self._connect(LIFELINE)
        atexit.register(self._lifeline.close)

    def wait_until_ready(self) -> None:
        """Wait for the server's imports, which take many times longer on a busy machine."""
        with self._lock:
            if not self._is_ready:
                read_line(self._lifeline)
                self._is_ready = True

    def start(self, program: Program, streams: tuple[int, int, int]) -> tuple[int, socket.socket]:
        """Start a program and return its process id, and a connection on which its exit code will arrive as a line."""
        self.wait_until_ready()
        connection = self._connect(FORK)
        program.send(connection, streams)
        return int(read_line(connection)), connection

    def _connect(self, kind: bytes) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._address)
            connection.sendall(kind)
        except BaseException:
            connection.close()
            raise
        return connection

    def _start(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
        command = [sys.executable, "-W", "ignore", "-m", _SERVER, self._address[1:]]
        # Numerical libraries would start threads.
        env["OPENBLAS_NUM_THREADS"] = "1"
        null = subprocess.DEVNULL
        subprocess.run(command, cwd=_REPOSITORY, env=env, stdin=null, stdout=null, check=True)


@functools.cache
def server() -> Server:
    """The server of this test process."""
    return Server()


def read_line(connection: socket.socket) -> bytes:
    """Read byte by byte, so that nothing of the next line is lost."""
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := connection.recv(1)):
            msg = "the server of preloaded interpreters has ended"
            raise ChildProcessError(msg)
        line += byte
    return line


def program(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Program | None:
    """Return what a command means for the server; None where it has to be executed."""
    if not is_available:
        return None
    executables = Path(sys.executable).parent
    match list(command):
        case [sys.executable, "-c", code, *arguments]:
            return Program("code", code, arguments, dict(env), str(folder))
        case [sys.executable, "-m", module, *arguments]:
            return Program("module", module, arguments, dict(env), str(folder))
        case [sys.executable, file, *arguments] if file.endswith(".py"):
            return Program("file", file, arguments, dict(env), str(folder))
        case ["a0" | "flyte" as name, *arguments] if _which(name, env) == executables / name:
            return Program("file", str(executables / name), arguments, dict(env), str(folder))
    return None


def _which(name: str, env: Mapping[str, str]) -> Path | None:
    folders = map(Path, env.get("PATH", os.defpath).split(os.pathsep))
    return next((folder / name for folder in folders if os.access(folder / name, os.X_OK)), None)


def popen(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Interpreter | subprocess.Popen[str]:
    """Start a command with pipes, and by the server where that is possible."""
    if found := program(command, env, folder):
        return Interpreter(found)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


class Child:
    """A running program: the part of `subprocess.Popen` that tests need."""

    def __init__(self, program: Program, streams: tuple[int, int, int] = (0, 1, 2)) -> None:
        self.pid, self._connection = server().start(program, streams)
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, not of its children."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            self.returncode = int(read_line(self._connection))
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # It has ended.
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Interpreter(Child):
    """A running program with pipes for its standard streams."""

    def __init__(self, program: Program) -> None:
        stdin, self_stdin = os.pipe()
        self_stdout, stdout = os.pipe()
        self_stderr, stderr = os.pipe()
        try:
            super().__init__(program, (stdin, stdout, stderr))
        finally:
            for end in (stdin, stdout, stderr):
                os.close(end)
        self.stdin = os.fdopen(self_stdin, "w")
        self.stdout = os.fdopen(self_stdout)
        self.stderr = os.fdopen(self_stderr)

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None:
            self.kill()
        self._close_stdin()
        self.wait()
        self.stdout.close()
        self.stderr.close()
        self._connection.close()

    def communicate(self, text: str = "", timeout: float | None = None) -> tuple[str, str]:
        """Write a text to standard input and read the other streams to their ends."""
        with ThreadPoolExecutor(2) as pool:
            outputs = [pool.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self._close_stdin(text)
                output, errors = (future.result(timeout) for future in outputs)
                self.wait(timeout)
            except BaseException:
                self.kill()
                raise
        return output, errors

    def _close_stdin(self, text: str = "") -> None:
        try:
            with self.stdin:
                if not self.stdin.closed:
                    self.stdin.write(text)
        except (BrokenPipeError, ValueError):
            pass  # It has ended, or its input has been closed before.
