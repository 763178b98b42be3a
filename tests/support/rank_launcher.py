"""A launcher of several processes for one action: flyte.clustered without a cluster, and without torch.

The command of a pod of flyte.clustered is `clustered ARGUMENTS OF a0`; with `launcher_env` this script runs instead. It
starts the real `a0` once for each rank, with the environment of the real launcher and of torchrun. All "workers" are in
this pod. When a rank fails the others get SIGTERM, and all are restarted as often as allowed. Ranks are forked with
Flyte and wandb imported, like the pods of other tasks.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

# The launcher runs where only installed packages can be imported.
sys.path.append(str(Path(__file__).parents[2]))

from tests.support.preloaded.client import NAME, Child, is_available, program, server

_GRACE = 30.0
WORKERS, PER_WORKER, RESTARTS, USES_WANDB = "TEST_WORKERS", "TEST_PER_WORKER", "TEST_RESTARTS", "TEST_USES_WANDB"


def launcher_env(
    folder: Path, *, workers: int, per_worker: int, restarts: int = 0, uses_wandb: bool = False
) -> dict[str, str]:
    """Return the variables that make a pod of the control plane run its task in several processes.

    Args:
        folder: For the command that replaces `clustered`; created if missing.
        workers: The number of simulated workers.
        per_worker: Processes per worker; with 1 the environment is that for JAX.
        restarts: How often all ranks are restarted when one fails.
        uses_wandb: Whether the launcher itself has used wandb before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "clustered"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    executables = Path(sys.executable).parent
    numbers = {WORKERS: workers, PER_WORKER: per_worker, RESTARTS: restarts, USES_WANDB: int(uses_wandb)}
    path = os.pathsep.join([str(folder), str(executables), os.environ.get("PATH", os.defpath)])
    preloaded = {NAME: server().name} if is_available else {}
    return {"PATH": path, **preloaded, **{name: str(number) for name, number in numbers.items()}}


def _main(arguments: list[str]) -> int:
    workers, per_worker, restarts = (int(os.environ[name]) for name in (WORKERS, PER_WORKER, RESTARTS))
    if os.environ[USES_WANDB] == "1":
        import wandb

        wandb.setup().ensure_service()
        assert "WANDB_SERVICE" in os.environ
    command = ["a0", *(argument for argument in arguments if not argument.startswith("--runtime"))]
    for launch in range(restarts + 1):
        ranks = [
            _start(command, {**os.environ, **_environment(worker, local, launch)})
            for worker in range(workers)
            for local in range(per_worker)
        ]
        if _wait(ranks):
            return 0
    return 1


def _environment(worker: int, local: int, launch: int) -> dict[str, str]:
    workers, per_worker, restarts = (int(os.environ[name]) for name in (WORKERS, PER_WORKER, RESTARTS))
    rank = {
        "FLYTE_CLUSTERED_WORKER": "1",
        "NNODES": str(workers),
        "NPROC_PER_NODE": str(per_worker),
        "NODE_RANK": str(worker),
        "RANK": str(worker * per_worker + local),
        "LOCAL_RANK": str(local),
        "WORLD_SIZE": str(workers * per_worker),
        "LOCAL_WORLD_SIZE": str(per_worker),
    }
    if per_worker == 1:
        return rank
    torch = {
        "GROUP_RANK": str(worker),
        "GROUP_WORLD_SIZE": str(workers),
        "TORCHELASTIC_RUN_ID": "test",
        "TORCHELASTIC_RESTART_COUNT": str(launch),
        "TORCHELASTIC_MAX_RESTARTS": str(restarts),
    }
    return {**rank, **torch}


def _start(command: list[str], env: dict[str, str]) -> Child | subprocess.Popen[bytes]:
    found = program(command, env, Path.cwd())
    return Child(found) if found else subprocess.Popen(command, env=env)


def _wait(ranks: list[Child | subprocess.Popen[bytes]]) -> bool:
    """Wait for all ranks and return whether they succeeded; the first failure ends the others."""
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()
    waiting = [threading.Thread(target=lambda rank=rank: codes.put(rank.wait())) for rank in ranks]
    for thread in waiting:
        thread.start()
    has_succeeded = all(codes.get() == 0 for _ in ranks)
    for rank in ranks:
        rank.terminate()
    deadline = time.monotonic() + _GRACE
    for rank, thread in zip(ranks, waiting, strict=True):
        thread.join(max(0, deadline - time.monotonic()))
        rank.kill()
    return has_succeeded


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
