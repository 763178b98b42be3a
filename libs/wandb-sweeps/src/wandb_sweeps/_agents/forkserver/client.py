"""The forkserver as the agents of this process use it: one for all of them, started on first use."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()
_users = 0
_forkserver: _Forkserver | None = None


@contextlib.contextmanager
def forkserver_in_use() -> Iterator[None]:
    """Keep the forkserver alive inside the block; it ends when its last user leaves."""
    global _users, _forkserver  # noqa: PLW0603
    with _lock:
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users and _forkserver is not None:
                _forkserver.kill()
                _forkserver = None


def start() -> None:
    """Start the forkserver if it is not running, without waiting for its imports. Call it while it is in use."""
    with _lock:
        _running()


def fork_supervisor() -> tuple[int, Any]:
    """Fork a supervisor for the trials of one agent. Call it while the forkserver is in use.

    Returns:
        The supervisor's process id, which is also its session id, and the connection to it.

    Raises:
        OSError: Python does not start, or the forkserver was killed.
    """
    ours, theirs = Pipe()
    try:
        with theirs, _lock:
            _running().send_descriptor(theirs.fileno())
        ours.send_bytes(json.dumps(_process_state()).encode())
        return json.loads(ours.recv_bytes())["supervisor"], ours
    except (EOFError, ConnectionError) as error:
        ours.close()
        msg = "the process that starts the trials of W&B sweeps died during its start"
        raise ConnectionResetError(msg) from error
    except BaseException:
        ours.close()
        raise


@dataclass(frozen=True)
class _Forkserver:
    process: subprocess.Popen[bytes]
    control: socket.socket

    @classmethod
    def launch(cls) -> _Forkserver:
        ours, theirs = socket.socketpair()
        script = str(Path(__file__).with_name("main.py"))
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603
                    [sys.executable, script, str(theirs.fileno()), json.dumps(sys.path)],
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        return cls(process, ours)

    def send_descriptor(self, descriptor: int) -> None:
        socket.send_fds(self.control, [b"."], [descriptor])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.control.close()


def _running() -> _Forkserver:
    global _forkserver  # noqa: PLW0603
    if _forkserver is None or _forkserver.process.poll() is not None:
        if _forkserver is not None:
            _forkserver.kill()
        _forkserver = _Forkserver.launch()
    return _forkserver


def _environment() -> dict[str, str]:
    # With this process's WANDB_SERVICE, its SDK service would treat a trial's run as one of this process.
    return {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}


def _process_state() -> dict[str, Any]:
    try:
        folder: str | None = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        folder = None
    return {"path": sys.path, "argv": sys.argv, "environment": _environment(), "folder": folder}
