"""A program that a forked child executes as if its process had been started for it."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import pickle
import runpy
import socket
import sys
import tempfile
import threading
import types
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_LENGTH = 8
_STREAMS = 3


@dataclass(frozen=True)
class Program:
    """The program of a child, in the environment of a separate process."""

    kind: str
    """`code`, as for `python -c`; `file`, as for `python FILE`; or `module`, as for `python -m`."""
    target: str
    arguments: list[str]
    env: dict[str, str]
    folder: str

    def send(self, connection: socket.socket, streams: tuple[int, int, int]) -> None:
        """Request a child with these file descriptors as standard streams."""
        data = pickle.dumps(self)
        socket.send_fds(connection, [len(data).to_bytes(_LENGTH, "big")], streams)
        connection.sendall(data)

    @classmethod
    def receive(cls, connection: socket.socket) -> tuple[Program, list[int]] | None:
        """Receive a request and its streams; None if the client has disconnected."""
        head, streams, _, _ = socket.recv_fds(connection, _LENGTH, _STREAMS)
        with connection.makefile("rb") as file:
            data = file.read(int.from_bytes(head, "big"))
        return (pickle.loads(data), streams) if data else None

    def become(self, streams: list[int]) -> None:
        """Make this process look like one that was started for the program alone."""
        os.setsid()
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(self.env)
        os.chdir(self.folder)
        _reopen(sys.stdout, 1, line_buffering=os.isatty(1) or bool(self.env.get("PYTHONUNBUFFERED")))
        _reopen(sys.stderr, 2, line_buffering=True)
        _give_own_media_folder()
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        additions = [entry for entry in self.env.get("PYTHONPATH", "").split(os.pathsep) if entry]
        sys.path[:0] = [self._first_entry(), *additions]

    def _first_entry(self) -> str:
        match self.kind:
            case "file":
                return str(Path(self.target).parent)
            case "module":
                return self.folder
            case _:
                return ""

    def run(self) -> NoReturn:
        """Run as `__main__` and exit like an interpreter, but without its finalization.

        Destroying thousands of modules takes longer than many a program, and copies the memory that forks share.
        """
        code = 0
        try:
            self._execute()
        except SystemExit as exit_:
            code = _exit_code(exit_)
        except Exception:  # noqa: BLE001 - the interpreter's last resort
            sys.excepthook(*sys.exc_info())
            code = 1
        # Also ends the threads of executors. As in the children of `multiprocessing`.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code & 0xFF)

    def _execute(self) -> None:
        if self.kind == "module":
            sys.argv = ["", *self.arguments]
            runpy.run_module(self.target, run_name="__main__", alter_sys=True)
            return
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        if self.kind == "file":
            main.__file__ = self.target
            sys.argv = [self.target, *self.arguments]
            code = compile(Path(self.target).read_bytes(), self.target, "exec")
        else:
            sys.argv = ["-c", *self.arguments]
            code = compile(self.target, "<string>", "exec")
        exec(code, main.__dict__)


def _exit_code(exit_: SystemExit) -> int:
    """Return what `sys.exit` means; a text is printed."""
    if exit_.code is None or isinstance(exit_.code, int):
        return exit_.code or 0
    sys.stderr.write(f"{exit_.code}\n")
    return 1


def _reopen(stream: object, descriptor: int, *, line_buffering: bool) -> None:
    """Initialize a stream anew: it has cached whether its first file is seekable.

    The object stays, because wandb has patched it when it was imported.
    """
    assert isinstance(stream, io.TextIOWrapper)
    buffer = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - open as long as the process runs
    io.TextIOWrapper.__init__(
        stream, buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=line_buffering
    )


def _give_own_media_folder() -> None:
    """Replace wandb's temporary folder for media, which each process deletes when it exits."""
    media = sys.modules.get("wandb.sdk.data_types._private")
    if media is not None:
        media.MEDIA_TMP._finalizer.detach()
        media.MEDIA_TMP.name = tempfile.mkdtemp("wandb-media")
