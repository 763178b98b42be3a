"""The template that the trials of all agents of this process are copies of, seen from the agents."""

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
_holders = 0
_template: _Template | None = None


@contextlib.contextmanager
def held() -> Iterator[None]:
    """For the time of whoever needs copies, or has others that do; the template ends with the last of them."""
    global _holders, _template  # noqa: PLW0603
    with _lock:
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders and _template is not None:
                _template.end()
                _template = None


def load() -> None:
    """Starts the template, if that has not been done. It loads what trials need meanwhile; to be called while held."""
    with _lock:
        _loaded()


def connect() -> tuple[int, Any]:
    """Has a keeper made; to be called while held.

    Returns:
        The keeper's process id, which is its session's too, and the connection to it.

    Raises:
        OSError: There is none: Python does not start, or has been killed meanwhile.
    """
    ours, theirs = Pipe()
    try:
        with theirs, _lock:
            _loaded().give(theirs.fileno())
        ours.send_bytes(json.dumps(_surroundings()).encode())
        return json.loads(ours.recv_bytes())["keeper"], ours
    except (EOFError, ConnectionError) as error:
        ours.close()
        msg = "the interpreter of a W&B sweep's trials has died while it was being started"
        raise ConnectionResetError(msg) from error
    except BaseException:
        ours.close()
        raise


@dataclass(frozen=True)
class _Template:
    process: subprocess.Popen[bytes]
    control: socket.socket

    @classmethod
    def start(cls) -> _Template:
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

    def give(self, descriptor: int) -> None:
        socket.send_fds(self.control, [b"."], [descriptor])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.control.close()


def _loaded() -> _Template:
    global _template  # noqa: PLW0603
    if _template is None or _template.process.poll() is not None:
        if _template is not None:
            _template.end()
        _template = _Template.start()
    return _template


def _environment() -> dict[str, str]:
    # The SDK's service process of this one would take a trial's run for one of its own.
    return {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}


def _surroundings() -> dict[str, Any]:
    try:
        folder: str | None = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        folder = None
    return {"path": sys.path, "argv": sys.argv, "environment": _environment(), "folder": folder}
