"""Canaries: private APIs of wandb and Flyte that wandb_sweeps uses. A release that moves one is noticed here first."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from wandb.agents import pyagent
from wandb.sdk.lib import config_util
from wandb.sdk.lib.service import service_port_file
from wandb_sweeps import _sdk_private


def test_wandb_agent_looks_its_implementation_up_on_each_call() -> None:
    source = inspect.getsource(wandb.agent)

    assert "from wandb.agents.pyagent import pyagent" in source
    names = ["sweep_id", "function", "entity", "project", "count"]
    assert list(inspect.signature(pyagent.pyagent).parameters)[:5] == names


# The SDK leaves the file open.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_wandb_reads_the_parameters_that_were_written(tmp_path: Path) -> None:
    path = str(tmp_path / "config.yaml")
    parameters = {"lr": {"value": 1e-5}, "name": {"value": "1e-5"}}
    _sdk_private.write_parameters(path, parameters)

    assert config_util.dict_from_config_file(path) == {"lr": 1e-5, "name": "1e-5"}


def test_service_is_polled_every_10_ms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        (tmp_path / "port").write_text("sock=1\nEOF\n")

    monkeypatch.setattr(service_port_file, "_SLEEP", pause)
    _sdk_private.poll_service_often()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as service:
        service_port_file.poll_for_token(tmp_path / "port", service, timeout=10)

    assert pauses == [0.01]


FORKING = """
import os, threading
from wandb_sweeps import _sdk_private

resume = _sdk_private.pause_flyte()
assert resume is not None, "Flyte has moved its event loop"
assert threading.active_count() == 1, threading.enumerate()
from flyte.syncify import syncify

@syncify
async def blocking() -> str:
    return threading.current_thread().name

for _ in range(2):
    if os.fork() == 0:
        resume()
        print(blocking(), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


def test_flyte_works_in_forks_and_leaves_no_thread_in_the_parent() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["flyte_syncify"] * 2
