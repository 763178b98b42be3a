"""Distributed tasks: several real processes of one action, each with the environment of a launcher."""

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from flyteplugins.wandb import wandb_config
from wandb_devserver import DevServer, RunRecord

from tests.remote.support import CONTEXT, PROJECT, link_of
from tests.support.control_plane.actions import Phase
from tests.support.control_plane.plane import ControlPlane, Run
from tests.support.preloaded.client import popen
from tests.support.rank_launcher import launcher_env

STEPS = 3


@pytest.fixture
def start(tmp_path: Path, plane: ControlPlane) -> "Start":
    return Start(plane, tmp_path)


class Start:
    """Start a task in several processes."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane = plane
        self._folder = folder

    def __call__(self, task: str, expect: Phase = Phase.SUCCEEDED, settings: Any = None, **launch: Any) -> Run:
        meeting = self._folder / "meeting"
        meeting.mkdir()
        self._plane.pods.env.update(launcher_env(self._folder / "launcher", **launch))
        context = {**CONTEXT, **(settings or {})}
        return self._plane.run(f"ranks:{task}", str(meeting), context=context, expect=expect)


def rows(run: RunRecord, *keys: str) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row[key] for key in keys) for row in run.history)


def test_ranks_of_a_worker_share_its_run(start: Start, wandb_devserver: DevServer) -> None:
    """All rows, summaries and console lines arrive; the first rank of each worker opens and ends its run."""
    flyte_run = start("train", workers=2, per_worker=2, uses_wandb=True)

    base = f"{flyte_run.name}-a0"
    runs = {run.id: run for run in wandb_devserver.runs(PROJECT)}
    assert flyte_run.result == (7,)
    assert set(runs) == {f"{base}-worker-0", f"{base}-worker-1"}
    assert [link.uri for link in flyte_run.root.links] == [runs[f"{base}-worker-{worker}"].url for worker in (0, 1)]
    for worker in (0, 1):
        run = runs[f"{base}-worker-{worker}"]
        ranks = (2 * worker, 2 * worker + 1)
        assert (run.state, run.exit_code, run.group) == ("finished", 0, flyte_run.name)
        assert (run.config["lr"], run.tags, run.job_type) == (0.1, ["distributed"], "train")
        assert rows(run, "rank", "value") == {(rank, step): 1 for rank in ranks for step in range(STEPS)}
        assert all(run.summary[f"summary of {rank}"] == 1 for rank in ranks)
        assert {f"[rank-{rank}] line of rank {rank}" for rank in ranks} <= set(run.console)


def test_restart_in_place_continues_the_run(start: Start, wandb_devserver: DevServer) -> None:
    """Rank 0 owns the run and its next process continues it. Flyte sees one attempt."""
    flyte_run = start("restarted", settings=wandb_config(download_logs=True), workers=1, per_worker=2, restarts=1)

    (run,) = wandb_devserver.runs(PROJECT)
    flyte_config = run.config["flyte"]
    assert flyte_run.result == (1,)
    assert isinstance(flyte_config, dict)
    assert (run.id, flyte_config["attempt"]) == (f"{flyte_run.name}-a0", 0)
    assert (run.state, run.exit_code) == ("finished", 0)
    assert rows(run, "launch") == {(0,): 1, (1,): 1}
    assert link_of(flyte_run.root) == run.url
    assert f"download those of W&B run {run.id} in the parent task" in flyte_run.root.last.stderr


def test_failing_rank_fails_its_run(start: Start, wandb_devserver: DevServer) -> None:
    """Ranks that are stopped for it leave no running runs."""
    settings = wandb_config(run_mode="new", rank_scope="worker")
    flyte_run = start("failing", settings=settings, workers=2, per_worker=1, expect=Phase.FAILED)

    base = f"{flyte_run.name}-a0"
    assert link_of(flyte_run.root) == f"{wandb_devserver.url}/{PROJECT}/groups/{base}-worker-0"
    stopped, failed = sorted(wandb_devserver.runs(PROJECT), key=lambda run: run.id)
    assert (stopped.id, stopped.group) == (f"{base}-worker-0-rank-0", f"{base}-worker-0")
    assert (failed.id, failed.group) == (f"{base}-worker-1-rank-0", f"{base}-worker-1")
    assert stopped.state not in ("running", "finished")
    assert (failed.state, failed.exit_code) == ("failed", 1)
    assert (rows(stopped, "rank"), rows(failed, "rank")) == ({(0,): 1}, {(1,): 1})


WAITING_IN_C = """
import hashlib
from flyteplugins.wandb import get_wandb_run, wandb_init

@wandb_init(id="stuck", project="remote", entity="local")
def train():
    get_wandb_run().log({"value": 1})
    print("computing", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)

train()
"""


def test_rank_blocked_in_c_closes_its_run(wandb_devserver: DevServer, tmp_path: Path) -> None:
    """Python cannot run a signal handler in the main thread there."""
    rank = {"ACTION_NAME": "a0", "RANK": "0", "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", WAITING_IN_C]
    with popen(command, {**os.environ, **rank}, tmp_path) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "computing\n"
            process.terminate()
            process.wait(timeout=60)
        finally:
            process.kill()

    run = wandb_devserver.run(f"{PROJECT}/stuck")
    assert process.returncode == 128 + signal.SIGTERM
    assert (run.state, run.exit_code) == ("preempted", 128 + signal.SIGTERM)
    assert rows(run, "value") == {(1,): 1}
