"""Waiting before a download: for the end of a run, or for rows in flight."""

import threading
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb_artifacts import NotFoundError, RunRef, SweepRef
from wandb_artifacts.flyte import wait_for_run, wait_for_sweep
from wandb_devserver import DevServer

LONG = 20.0
SHORT = 0.5


@pytest.fixture
def run(wandb_devserver: DevServer, tmp_path: Path) -> Any:
    """An unfinished run of which the server has a row."""
    settings = wandb.Settings(x_file_stream_transmit_interval=1, console="off")
    with wandb.init(project="e2e", dir=tmp_path, settings=settings) as run:
        run.log({"x": 0})
        yield run


def test_waits_until_the_run_ends(run: Any) -> None:
    """It polls the state of the run until the timeout."""
    ref = RunRef("local", "e2e", run.id)
    assert wait_for_run(ref, timeout=SHORT) == f"still reports {run.id} as running"
    assert wait_for_run(ref, ends=False, timeout=LONG) is None

    found: list[str | None] = []
    waiting = threading.Thread(target=lambda: found.append(wait_for_run(ref, last_step=0, timeout=LONG)))
    waiting.start()
    run.finish()
    waiting.join()
    assert found == [None]


def test_waits_for_rows_in_flight(run: Any) -> None:
    """The run has not ended."""
    ref = RunRef("local", "e2e", run.id)
    assert wait_for_run(ref, last_step=0, ends=False, timeout=LONG) is None
    assert wait_for_run(ref, last_step=1, ends=False, timeout=SHORT) == "has only step 0 of 1"
    run.log({"x": 1})
    assert wait_for_run(ref, last_step=1, ends=False, timeout=LONG) is None


@pytest.mark.usefixtures("wandb_devserver")
def test_missing_run_raises_at_once() -> None:
    with pytest.raises(NotFoundError):
        wait_for_run(RunRef("local", "e2e", "nowhere"), timeout=LONG)
    with pytest.raises(NotFoundError):
        wait_for_sweep(SweepRef("local", "e2e", "nowhere"), timeout=LONG)
