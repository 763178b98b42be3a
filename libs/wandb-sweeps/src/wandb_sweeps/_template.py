"""The interpreter that those of an agent's trials are copies of; `_interpreter` runs it as a script.

    agent -> here   how to import (JSON); then, for each trial, "trial", the objective (pickled) and the rest (JSON)
    here -> agent   {"exited": code} when the trial's interpreter has exited

It loads what `wandb.init` needs, which takes longer than all the rest of a short trial, and nothing of the user's. It
must not import Flyte, and so nothing of this package: Flyte starts a thread, which a copy would not have.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from multiprocessing.connection import Connection

# What `wandb.init` imports by itself later on, as far as it takes time. Where one is gone, it is only not in advance.
_NEEDED = ("wandb", "wandb.apis.public", "wandb.sdk.launch", "wandb.analytics.opentelemetry.opentelemetry_proxy")


def main() -> None:
    """Makes an interpreter for each trial, until the agent closes the connection."""
    channel: Connection[bytes, bytes] = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, OSError):
        surroundings = json.loads(channel.recv_bytes())
        sys.path[:], sys.argv[:] = surroundings["path"], surroundings["argv"]
        for module in _NEEDED:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        while True:
            # What else comes is for a trial that has ended meanwhile.
            if channel.recv_bytes() != b"trial":
                continue
            objective, trial = channel.recv_bytes(), json.loads(channel.recv_bytes())
            pid = os.fork()
            if pid == 0:
                from wandb_sweeps._trial import run

                run(channel, objective, trial)
            _, status = os.waitpid(pid, 0)
            channel.send_bytes(json.dumps({"exited": os.waitstatus_to_exitcode(status)}).encode())


if __name__ == "__main__":
    main()
