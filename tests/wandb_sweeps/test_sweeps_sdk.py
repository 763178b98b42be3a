"""What is used of the SDK without being public. A release that moves it is noticed here first."""

import inspect

import wandb
from wandb.agents import pyagent
from wandb.apis.public.service_api import ServiceApi
from wandb.sdk import wandb_setup


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
