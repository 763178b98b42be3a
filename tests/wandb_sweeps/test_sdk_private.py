"""What is used of the SDK without being public. A release that moves it is noticed here first."""

import inspect
import subprocess
from pathlib import Path

import pytest
import wandb
from wandb.agents import pyagent
from wandb.apis.public.service_api import ServiceApi
from wandb.sdk import wandb_setup
from wandb.sdk.lib.service import service_port_file
from wandb_sweeps._server import requests


def test_requests() -> None:
    """A request with a timeout, by the connection of an `Api`."""
    assert {"query", "variables", "timeout"} <= inspect.signature(ServiceApi.execute_graphql).parameters.keys()
    assert "_service_api" in inspect.getsource(wandb.Api.__init__)


def test_agents() -> None:
    """`wandb.agent` looks for the function behind it when it is called, and calls it by position."""
    source = inspect.getsource(wandb.agent)

    assert "from wandb.agents.pyagent import pyagent" in source
    names = ["sweep_id", "function", "entity", "project", "count"]
    assert list(inspect.signature(pyagent.pyagent).parameters)[:5] == names


def test_sessions() -> None:
    """What the process knows of its runs is one object, which is made anew where there is none."""
    assert {"_singleton", "_singleton_lock"} <= vars(wandb_setup).keys()
    assert "_active_runs" in inspect.getsource(wandb_setup._WandbSetup)


def test_polling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The SDK waits by this name for the file of its service, which trials have it do more often."""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        (tmp_path / "port").write_text("sock=1\nEOF\n")

    monkeypatch.setattr(service_port_file, "_SLEEP", pause)
    requests.poll_often()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as service:
        service_port_file.poll_for_token(tmp_path / "port", service, timeout=10)

    assert pauses == [0.01]
