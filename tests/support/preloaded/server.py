"""The process that tests fork interpreters from: it has imported what takes long, and has a single thread.

Importing wandb takes a second of CPU time, and the dependencies of Flyte another one. A forked child runs its program
as `__main__` and ends like any interpreter. Flyte itself is not imported here: importing it starts a thread, which does
not survive a fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import runpy
import selectors
import signal
import socket
import sys
import tempfile
import threading
import types
from dataclasses import dataclass
from pathlib import Path

MODULES = [
    "asyncio",
    "cloudpickle",
    "connectrpc.client",
    "connectrpc.server",
    "flyteidl2.actions.actions_service_connect",
    "flyteidl2.auth.auth_service_connect",
    "flyteidl2.workflow.queue_service_connect",
    "flyteidl2.workflow.run_service_connect",
    "flyteidl2.workflow.state_service_connect",
    "fsspec",
    "httpx",
    "mashumaro.codecs.json",
    "mashumaro.mixins.dict",
    "obstore",
    "obstore.fsspec",
    "obstore.store",
    "pandas",
    "protovalidate",
    "pyarrow",
    "pyarrow.compute",
    "pydantic",
    "rich.console",
    "rich_click",
    "wandb",
    "yaml",
]
_LENGTH = 8
_STREAMS = 3
_REPOSITORY = str(Path(__file__).parents[3])


@dataclass(frozen=True)
class Program:
    """What a child executes, in the environment of a separate process."""

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
    def receive(cls, connection: socket.socket) -> tuple[Program, list[int]]:
        head, streams, _, _ = socket.recv_fds(connection, _LENGTH, _STREAMS)
        with connection.makefile("rb") as file:
            program: Program = pickle.loads(file.read(int.from_bytes(head, "big")))
        return program, streams


def serve(listener: socket.socket) -> tuple[Program, list[int]]:
    """Fork a child for each request. Returns in the children; the server itself ends with its standard input."""
    wakeup, wakeup_end = os.pipe()
    for end in (wakeup, wakeup_end):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wakeup_end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parents: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for file in (listener, wakeup, sys.stdin):
            selector.register(file, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if sys.stdin in ready:
                os._exit(0)
            if wakeup in ready:
                os.read(wakeup, 4096)
                _report_ends(parents)
            if listener in ready:
                connection, _ = listener.accept()
                program, streams = Program.receive(connection)
                pid = os.fork()
                if pid == 0:
                    break
                parents[pid] = connection
                connection.sendall(f"{pid}\n".encode())
                for descriptor in streams:
                    os.close(descriptor)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for inherited in (listener, connection, *parents.values()):
        inherited.close()
    for end in (wakeup, wakeup_end):
        os.close(end)
    return program, streams


def _report_ends(parents: dict[int, socket.socket]) -> None:
    """Send the exit codes of the children that have ended, as `subprocess` numbers them."""
    while parents:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with parents.pop(pid) as connection, contextlib.suppress(OSError):
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def become(program: Program, streams: list[int]) -> None:
    """Make this process look like one that was started for the program alone."""
    os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(program.env)
    os.chdir(program.folder)
    # The stream objects stay: wandb has patched them when it was imported.
    sys.stdout.reconfigure(line_buffering=bool(program.env.get("PYTHONUNBUFFERED")))  # type: ignore[union-attr]
    give_own_media_folder()
    # The repository was importable for this module's sake.
    sys.path.remove(_REPOSITORY)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    additions = [entry for entry in program.env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:0] = [_first_entry(program), *additions]


def give_own_media_folder() -> None:
    """Replace wandb's temporary folder for media, which each process deletes when it exits."""
    media = sys.modules.get("wandb.sdk.data_types._private")
    if media is not None:
        media.MEDIA_TMP._finalizer.detach()
        media.MEDIA_TMP.name = tempfile.mkdtemp("wandb-media")


def _first_entry(program: Program) -> str:
    match program.kind:
        case "file":
            return str(Path(program.target).parent)
        case "module":
            return program.folder
        case _:
            return ""


def execute(program: Program) -> None:
    """Run the program as `__main__`."""
    if program.kind == "module":
        sys.argv = ["", *program.arguments]
        runpy.run_module(program.target, run_name="__main__", alter_sys=True)
        return
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if program.kind == "file":
        main.__file__ = program.target
        sys.argv = [program.target, *program.arguments]
        code = compile(Path(program.target).read_bytes(), program.target, "exec")
    else:
        sys.argv = ["-c", *program.arguments]
        code = compile(program.target, "<string>", "exec")
    exec(code, main.__dict__)


def main() -> None:
    """Import, serve, and in a child: run its program."""
    for module in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{sys.argv[1]}")
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        program, streams = serve(listener)
    become(program, streams)
    execute(program)


if __name__ == "__main__":
    sys.path.pop(0)
    # Under its own name, so that requests can be unpickled.
    sys.path.insert(0, _REPOSITORY)
    importlib.import_module("tests.support.preloaded.server").main()
