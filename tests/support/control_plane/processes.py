"""Processes that are torn down with all their descendants.

A process leads a process group. Some programs (wandb's service is one) leave the group in which they were started; so
every process has a mark in its environment, which its descendants inherit and `/proc` shows on Linux.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.preloaded import client

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from tests.support.preloaded.program import Program

MARK = "FLYTE_PLANE_PROCESS"
_KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "TMPDIR", "TZ")
_END_OF_OUTPUT = 5.0


def clean_environment(home: Path, executables: Path) -> dict[str, str]:
    """Return the environment of a fresh container, without this process's WANDB_*, FLYTE_*, cloud or proxy settings."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join([str(executables), os.environ.get("PATH", os.defpath)])
    # Otherwise Flyte reports its crashes to a server on the Internet.
    return {**kept, "PATH": path, "HOME": str(home), "PYTHONUNBUFFERED": "1", "DO_NOT_TRACK": "1"}


class Process:
    """A running command with its output and its descendants."""

    def __init__(self, pid: int, end: Coroutine[Any, Any, int], mark: str, outputs: tuple[_Output, _Output]) -> None:
        self.pid = pid
        self.started = time.monotonic()
        self.ended: float | None = None
        self._end_of_process = end
        self._mark = mark
        self._outputs = outputs
        self._ended = asyncio.ensure_future(self._end())

    @classmethod
    async def start(
        cls, command: Sequence[str], env: Mapping[str, str], cwd: Path, on_output: Callable[[], None]
    ) -> Process:
        """Start a command in a new session; `on_output` is called when it prints."""
        mark = uuid.uuid4().hex
        stdout, stdout_end = await _Output.open(on_output)
        stderr, stderr_end = await _Output.open(on_output)
        try:
            pid, end = await _start(command, {**env, MARK: mark}, cwd, stdout_end, stderr_end)
        finally:
            os.close(stdout_end)
            os.close(stderr_end)
        return cls(pid, end, mark, (stdout, stderr))

    @property
    def return_code(self) -> int | None:
        """The exit code as in `subprocess`: negative for a signal. None until `wait` would return."""
        is_known = self._ended.done() and not self._ended.cancelled()
        return self._ended.result() if is_known else None

    @property
    def stdout(self) -> str:
        return self._outputs[0].text

    @property
    def stderr(self) -> str:
        return self._outputs[1].text

    async def wait(self) -> int:
        """Wait until it and its descendants have ended and all output has been read."""
        return await asyncio.shield(self._ended)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, as the platform does."""
        if self.ended is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, grace: float, *, is_pid1: bool) -> None:
        """SIGTERM, and SIGKILL to all of it when the grace period is over.

        The kernel drops signals to PID 1 of a container for which it has no handler. So does this, with `is_pid1`.
        """
        if not is_pid1 or self.catches(signal.SIGTERM):
            self.send(signal.SIGTERM)
        await asyncio.wait([self._ended], timeout=grace)
        self.kill()
        await self.wait()

    def kill(self) -> None:
        """SIGKILL to the process, its group and its descendants."""
        if self._ended.done():
            return  # Its group id may have been reused.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in _marked(self._mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def catches(self, number: signal.Signals) -> bool:
        """Whether it has installed a handler for a signal."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)

    async def _end(self) -> int:
        return_code = await self._end_of_process
        self.ended = time.monotonic()
        # A container ends with its first process.
        self.kill()
        for output in self._outputs:
            await output.finish()
        return return_code


async def _start(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, stdout: int, stderr: int
) -> tuple[int, Coroutine[Any, Any, int]]:
    """Start a command in a new session; returns its process id, and what to await for its return code."""
    if program := client.program(command, env, cwd):
        pid, connection = await asyncio.to_thread(_fork, program, stdout, stderr)
        return pid, _return_code(connection)
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    return process.pid, process.wait()


def _fork(program: Program, stdout: int, stderr: int) -> tuple[int, socket.socket]:
    with Path(os.devnull).open("rb") as stdin:
        return client.server().start(program, (stdin.fileno(), stdout, stderr))


async def _return_code(connection: socket.socket) -> int:
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    try:
        return int(await reader.readline())
    finally:
        writer.close()


class _Output(asyncio.Protocol):
    """Collects one stream of a process."""

    def __init__(self, on_output: Callable[[], None]) -> None:
        self._on_output = on_output
        self._data = bytearray()
        self._ended = asyncio.Event()
        self._transport: asyncio.ReadTransport | None = None

    @classmethod
    async def open(cls, on_output: Callable[[], None]) -> tuple[_Output, int]:
        """Return the collector and the descriptor to write to."""
        # Not asyncio's pipes: with them the process counts as running while a grandchild holds an end.
        read_end, write_end = os.pipe()
        file = os.fdopen(read_end, "rb", buffering=0)
        transport, output = await asyncio.get_running_loop().connect_read_pipe(lambda: cls(on_output), file)
        output._transport = transport
        return output, write_end

    @property
    def text(self) -> str:
        return self._data.decode(errors="replace")

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._on_output()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio gives it
        self._ended.set()

    async def finish(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _END_OF_OUTPUT)
        if self._transport is not None:
            self._transport.close()


def _marked(mark: str) -> Iterator[int]:
    """Find the processes with a mark; none on systems without `/proc`."""
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes():
                yield int(folder.name)
