"""The interpreter that those of all trials of a process are copies of; `client` runs it as a script.

    agent -> template   a connection, for a keeper of the agent's own
    agent -> keeper     what to run with (JSON); then, for each trial, "trial", the objective (pickled), the rest (JSON)
    keeper -> agent     {"keeper": pid}; then {"exited": code} when a trial's interpreter has exited

The template loads what `wandb.init` needs, which takes longer than all the rest of a short trial, and nothing of the
user's. A keeper is a copy of it that leads a session: it makes the copies that run the trials of one agent, and waits
for them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# What a trial imports by itself later on, as far as it takes time. Where one is gone, it is only not in advance.
_NEEDED = (
    "wandb",
    "wandb.apis.public",
    "wandb.sdk.launch.inputs.internal",
    "wandb.analytics.opentelemetry.opentelemetry_proxy",
    "opentelemetry.sdk.metrics.export",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "requests",
    "yaml",
)
# The same of this project, which imports Flyte.
_WITH_FLYTE = (
    "wandb_sweeps._agents.forkserver.worker",
    "wandb_sweeps._server.requests",
    "wandb_runtime.lifecycle.decorator",
    "wandb_runtime.lifecycle.session",
    "wandb_runtime.server.sdk_private",
    "wandb_runtime.server.queries",
)


def main() -> None:
    """Makes keepers, until the process that they are for closes the connection."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[:] = json.loads(sys.argv[2])
    resume = _load(with_flyte=len(sys.argv) == 3)
    # Keepers leave nothing behind when they end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        while fds := socket.recv_fds(control, 1, 1)[1]:
            if os.fork() == 0:
                control.close()
                os.set_inheritable(fds[0], False)
                with contextlib.suppress(EOFError, OSError):
                    _keep(Connection(fds[0]), resume)
                os._exit(0)
            os.close(fds[0])


def _load(*, with_flyte: bool) -> Callable[[], None]:
    """Imports what trials need.

    Returns:
        What a copy has to do first.
    """
    # Nothing that is imported is garbage: looking for it takes a tenth of the time here, and in each trial more.
    gc.disable()
    _import(_NEEDED)
    resume = None
    if with_flyte:
        before = threading.active_count()
        try:
            from wandb_sweeps import _sdk_private

            resume = _sdk_private.pause()
        except Exception:  # noqa: BLE001 - the trials import it by themselves, and tell
            resume = None
        if resume is None or threading.active_count() > before:
            # Now it is too late: start anew, and leave Flyte to the trials.
            os.execv(sys.executable, [sys.executable, __file__, *sys.argv[1:], "without Flyte"])  # noqa: S606
        _import(_WITH_FLYTE)
    gc.enable()
    gc.freeze()
    return resume or (lambda: None)


def _import(modules: tuple[str, ...]) -> None:
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _keep(channel: Connection[bytes, bytes], resume: Callable[[], None]) -> None:
    """Makes an interpreter for each trial, until the agent closes the connection."""
    # Ctrl-C is for the agent, which tells its trial. And all of it can be killed together.
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _take_on(json.loads(channel.recv_bytes()))
    channel.send_bytes(json.dumps({"keeper": os.getpid()}).encode())
    while True:
        # What else comes is for a trial that has ended meanwhile.
        if channel.recv_bytes() != b"trial":
            continue
        objective, trial = channel.recv_bytes(), json.loads(channel.recv_bytes())
        pid = os.fork()
        if pid == 0:
            resume()
            from wandb_sweeps._agents.forkserver.worker import run

            run(channel, objective, trial)
        _, status = os.waitpid(pid, 0)
        channel.send_bytes(json.dumps({"exited": os.waitstatus_to_exitcode(status)}).encode())


def _take_on(surroundings: dict[str, Any]) -> None:
    """What of the agent's process may have changed since the template was started."""
    sys.path[:], sys.argv[:] = surroundings["path"], surroundings["argv"]
    os.environ.clear()
    os.environ.update(surroundings["environment"])
    with contextlib.suppress(OSError, TypeError):
        os.chdir(surroundings["folder"])


if __name__ == "__main__":
    main()
