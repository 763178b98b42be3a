"""The forkserver of a process's trials; `client` runs this file as a script.

    agent -> forkserver   a connection, for a supervisor
    agent -> supervisor   the agent's process state (JSON); then, for each trial: "trial", the objective (pickled), the
                          trial's specification (JSON)
    supervisor -> agent   {"supervisor": pid}; then {"exited": code} when a trial's process has exited

The forkserver imports the modules that `wandb.init` needs, which takes longer than the rest of a short trial, and
nothing of the user's. A supervisor is a fork of it that leads a process session: it forks the trials of one agent, one
after the other, and waits for each.

The modules of this folder are on `sys.path` while the script starts: their names must not shadow other modules.
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

SDK_MODULES = (
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
"""Slow modules that each trial imports. A missing one is skipped: the trial imports it later, if at all."""
OWN_MODULES = (
    "wandb_sweeps._agents.forkserver.worker",
    "wandb_artifacts._client.api",
    "wandb_artifacts._client.responses",
    "wandb_runtime.lifecycle.decorator",
    "wandb_runtime.lifecycle.session",
    "wandb_runtime.tasks.holding",
    "wandb_runtime.server.sdk_private",
)
"""The same for this project's modules, which import Flyte."""

_WITHOUT_FLYTE = "--without-flyte"


def main() -> None:
    """Fork supervisors until the parent process closes the connection."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[:] = json.loads(sys.argv[2])
    resume = _preload(with_flyte=_WITHOUT_FLYTE not in sys.argv)
    # The kernel reaps the supervisors.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        while fds := socket.recv_fds(control, 1, 1)[1]:
            if os.fork() == 0:
                control.close()
                os.set_inheritable(fds[0], False)
                with contextlib.suppress(EOFError, OSError):
                    _supervise(Connection(fds[0]), resume)
                os._exit(0)
            os.close(fds[0])


def _preload(*, with_flyte: bool) -> Callable[[], None]:
    """Import the modules that trials need.

    Returns:
        A function that each fork calls first.
    """
    # Imported modules are not garbage: collecting would take a tenth of the time here, and more in each trial.
    gc.disable()
    _import(SDK_MODULES)
    resume = None
    if with_flyte:
        before = threading.active_count()
        try:
            from wandb_sweeps import _sdk_private

            resume = _sdk_private.pause_flyte()
        except Exception:  # noqa: BLE001 - the trials import it themselves and report the error
            resume = None
        if resume is None or threading.active_count() > before:
            # A process with threads must not be forked: restart, and leave the import of Flyte to the trials.
            os.execv(sys.executable, [sys.executable, __file__, *sys.argv[1:], _WITHOUT_FLYTE])  # noqa: S606
        _import(OWN_MODULES)
    gc.enable()
    gc.freeze()
    return resume or (lambda: None)


def _import(modules: tuple[str, ...]) -> None:
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _supervise(channel: Connection[bytes, bytes], resume: Callable[[], None]) -> None:
    """Fork a process for each trial until the agent closes the connection."""
    # Ctrl-C must reach the agent only, which ends the trial; and one signal can kill the whole session.
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _apply(json.loads(channel.recv_bytes()))
    channel.send_bytes(json.dumps({"supervisor": os.getpid()}).encode())
    while True:
        # Any other message is for a trial that has ended in the meantime.
        if channel.recv_bytes() != b"trial":
            continue
        objective, spec = channel.recv_bytes(), json.loads(channel.recv_bytes())
        pid = os.fork()
        if pid == 0:
            resume()
            from wandb_sweeps._agents.forkserver.worker import run_trial

            run_trial(channel, objective, spec)
        _, status = os.waitpid(pid, 0)
        channel.send_bytes(json.dumps({"exited": os.waitstatus_to_exitcode(status)}).encode())


def _apply(process_state: dict[str, Any]) -> None:
    """Copy the agent's process state, which may have changed since the forkserver started."""
    sys.path[:], sys.argv[:] = process_state["path"], process_state["argv"]
    os.environ.clear()
    os.environ.update(process_state["environment"])
    with contextlib.suppress(OSError, TypeError):
        os.chdir(process_state["folder"])


if __name__ == "__main__":
    main()
