"""The process that tests fork interpreters from: it has imported what takes long, and has a single thread.

Importing wandb, and what `wandb.init` imports, takes two seconds of CPU time, and Flyte another one. One server serves
all workers of a test run: each client holds a connection open, and the server ends when the last one is closed.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from tests.support.preloaded.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A stale name costs time and nothing else. First, because the work per pydantic class grows with the loaded modules.
# Of wandb: what `wandb.init` and the public API import when used.
WANDB_MODULES = [
    "wandb",
    "wandb.agents.pyagent",
    "wandb.analytics.opentelemetry.opentelemetry_proxy",
    "wandb.apis.public",
    "wandb.apis.public.summary",
    "wandb.cli.beta_sync",
    "wandb.cli.cli",
    "wandb.sdk.artifacts._internal_artifact",
    "wandb.sdk.artifacts._models.pagination",
    "wandb.sdk.launch.inputs.internal",
    "wandb.sdk.lib.gitlib",
    "wandb.wandb_agent",
]
# Each with all of its modules.
WANDB_PACKAGES = ["wandb.apis._generated", "wandb.sdk.artifacts._generated"]
MODULES = [
    "aiohttp",
    "anyio.abc",
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "asyncio",
    "cloudpickle",
    "fsspec",
    "async_lru",
    "greenlet",
    "h11",
    "httpcore",
    "httpx",
    "obstore.fsspec",
    "obstore.store",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.propagate",
    "opentelemetry.sdk.metrics.export",
    "duckdb",
    "encodings.ascii",
    "mashumaro.jsonschema",
    "pandas",
    "pyarrow.compute",
    "pyqwest._glue",
    "pytest",
    "requests",
    "rich._emoji_codes",
    "rich_click",
    "s3fs",
    # Imported by the examples, which takes longer than most of them run.
    "sklearn.datasets.data",
    "sklearn.datasets.descr",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sniffio",
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "wandb_artifacts._cli.commands",
    "wandb_artifacts._cli.download",
    "wandb_artifacts._cli.list",
    "wandb_artifacts._cli.main",
    "wandb_artifacts._cli.verify",
    "wandb_artifacts._destination.local",
    "wandb_devserver._cli",
    "yaml",
]
# What pods and drivers import.
FLYTE_MODULES = [
    "aiofiles.os",
    "docstring_parser",
    "rich.logging",
    "sentry_sdk",
    "flyte._bin.runtime",
    "flyte._code_bundle._includes",
    "flyte._deploy",
    "flyte._internal.controllers._local_controller",
    "flyte._internal.controllers.remote._client",
    "flyte._internal.resolvers.default",
    "flyte._internal.runtime.entrypoints",
    "flyte.git",
    "flyte._internal.imagebuild.image_builder",
    "flyte._internal.runtime.trigger_serde",
    "flyte._persistence._run_store",
    "flyte._utils.asyncify",
    "flyte.cli.main",
    "flyte.io._dataframe.basic_dfs",
    "flyte.remote._action",
    "flyte.remote._artifact",
    "flyte.remote._client.auth._interceptors.default_metadata",
    "flyte.remote._client.auth._interceptors.retry",
    "flyte.remote._client.auth._session",
    "flyte.remote._client.controlplane",
    "flyte.remote._data",
    "flyte.remote._logs",
    "flyte.remote._progress",
    "flyte.remote._run",
    "flyte.remote._trigger",
    "flyte.storage._parallel_reader",
    "flyteplugins.wandb",
    "wandb_artifacts._client.api",
    "wandb_runtime.lifecycle.session",
    "wandb_runtime.server.sdk_private",
    "wandb_runtime.tasks.forks",
    "wandb_runtime.tasks.holding",
]
FLYTE_PACKAGES = ["wandb_sweeps"]
# The first bytes of a connection.
LIFELINE, FORK = b"L", b"F"
READY = b"ready\n"
BACKLOG = 128


@dataclass
class Connections:
    """The sockets of the server, none of which a child keeps."""

    listener: socket.socket
    clients: set[socket.socket] = field(default_factory=set)
    parents: dict[int, socket.socket] = field(default_factory=dict)
    """By the process id of a child: where its exit code will be sent."""

    def accept(self, selector: selectors.BaseSelector) -> tuple[Program, list[int]] | None:
        """Accept a connection, and fork if it requests a program. Returns the program in the child."""
        connection, _ = self.listener.accept()
        kind = connection.recv(1)
        if kind == LIFELINE:
            connection.sendall(READY)
            self.clients.add(connection)
            selector.register(connection, selectors.EVENT_READ)
            return None
        request = Program.receive(connection) if kind == FORK else None
        if request is None:
            connection.close()
            return None
        pid = os.fork()
        if pid == 0:
            connection.close()
            return request
        self.parents[pid] = connection
        with contextlib.suppress(OSError):
            connection.sendall(f"{pid}\n".encode())
        for descriptor in request[1]:
            os.close(descriptor)
        return None

    def drop(self, client: socket.socket, selector: selectors.BaseSelector) -> None:
        """Forget a client that has disconnected; the last one ends this process."""
        selector.unregister(client)
        client.close()
        self.clients.remove(client)
        if not self.clients:
            os._exit(0)

    def report_ends(self) -> None:
        """Send the exit codes of the children that have ended, as `subprocess` numbers them."""
        while self.parents:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self.parents.pop(pid) as connection, contextlib.suppress(OSError):
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())

    def close(self) -> None:
        for connection in (self.listener, *self.clients, *self.parents.values()):
            connection.close()


def serve(listener: socket.socket) -> tuple[Program, list[int]]:
    """Fork a child for each request; returns in the children."""
    wakeup, wakeup_end = os.pipe()
    for end in (wakeup, wakeup_end):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wakeup_end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connections = Connections(listener)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(wakeup, selectors.EVENT_READ)
        request = None
        while request is None:
            for ready in [key.fileobj for key, _ in selector.select()]:
                if ready == wakeup:
                    os.read(wakeup, 4096)
                    connections.report_ends()
                elif ready is listener:
                    request = connections.accept(selector)
                    break
                elif isinstance(ready, socket.socket):
                    connections.drop(ready, selector)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    connections.close()
    for end in (wakeup, wakeup_end):
        os.close(end)
    return request


def preload() -> Callable[[Program], None]:
    """Import the modules; returns what each child calls first."""
    # Imported modules are not garbage: collecting would take a tenth of the time here, and more in each child.
    gc.disable()
    _import(WANDB_MODULES, WANDB_PACKAGES)
    _import(MODULES)
    resume = _import_flyte()
    assert threading.active_count() == 1, threading.enumerate()
    gc.enable()
    gc.freeze()
    return resume


def _import_flyte() -> Callable[[Program], None]:
    hook = sys.excepthook
    try:
        from wandb_sweeps._sdk_private import pause_flyte

        resume = pause_flyte()
    except ImportError:
        return lambda _: None  # Not installed.
    assert resume is not None, "the thread of Flyte did not end"
    _import(FLYTE_MODULES, FLYTE_PACKAGES)
    # The regular expressions that it compiles for its first docstring remain in the cache of `re`.
    docstring_parser = importlib.import_module("docstring_parser")
    docstring_parser.parse("A text.\n\nArgs:\n    x: A text.\n")
    flyte_hook, sys.excepthook = sys.excepthook, hook

    def start_flyte(program: Program) -> None:
        resume()
        # Importing Flyte sets it: so it belongs to its command, and not to a script that may not import Flyte.
        if program.kind == "file":
            sys.excepthook = flyte_hook

    return start_flyte


def _import(modules: Sequence[str], packages: Sequence[str] = ()) -> None:
    for package in packages:
        with contextlib.suppress(ImportError):
            path = importlib.import_module(package).__path__
            modules = [*modules, *(module.name for module in pkgutil.walk_packages(path, f"{package}."))]
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def main(location: str) -> NoReturn:
    """Import, serve, and in a child: run its program. The process that was started exits when clients can connect."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(location)
        except OSError as error:
            # Where the location is in use, another worker's server was faster.
            os._exit(int(error.errno != errno.EADDRINUSE))
        # Connections wait here until the imports are done.
        listener.listen(BACKLOG)
        if os.fork() > 0:
            os._exit(0)
        os.setsid()
        start_flyte = preload()
        program, streams = serve(listener)
    start_flyte(program)
    program.become(streams)
    program.run()


if __name__ == "__main__":
    # The folder of the repository, which programs do not have.
    sys.path.pop(0)
    main(f"\0{sys.argv[1]}")
