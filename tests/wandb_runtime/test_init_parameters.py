"""The table of wandb.init's parameters against the installed wandb."""

import inspect

import pytest
import wandb
from wandb_artifacts import app_url
from wandb_runtime import InitOptions, RunOptions, WandbConfig, wandb_config, wandb_init
from wandb_runtime.lifecycle.init_arguments import FLUSH_INTERVALS
from wandb_runtime.lifecycle.opening import _supported

OURS = {"download_logs", "finish_timeout", "flyte_metadata", "host", "log_inputs", "on_unavailable"}
OURS |= {"rank_scope", "report", "run_mode"}
WITHOUT_EFFECT = {"anonymous"}
"""Parameters that wandb.init itself ignores since 0.31."""


def parameters_of(function: object) -> set[str]:
    assert callable(function)
    return set(inspect.signature(function).parameters) - {"kwargs", "_func"}


def test_fields_are_the_parameters_of_wandb_init_and_ours() -> None:
    """Every parameter of wandb.init can be given; nothing else can."""
    assert set(WandbConfig.fields) - OURS == parameters_of(wandb.init) - WITHOUT_EFFECT


def test_types_have_all_fields() -> None:
    """Type checkers accept the same names, for the configuration and the decorator."""
    assert set(WandbConfig.fields) == parameters_of(wandb_config) | set(InitOptions.__annotations__)
    assert set(WandbConfig.fields) == parameters_of(wandb_init) | set(RunOptions.__annotations__)


knows_the_cloud = pytest.mark.skipif(
    wandb.Settings().base_url == "https://api.wandb.ai", reason="this SDK knows W&B's cloud by its older name"
)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("https://api.wandb.ai", marks=knows_the_cloud),
        pytest.param("https://api.forge.coreweave.com", marks=knows_the_cloud),
        "https://api.wandb.test",
        "https://api.wandb.corp.example",
        "https://api.corp.example",
        "https://wandb.corp.example",
        "http://127.0.0.1:8080",
        "https://corp.example/sub/path",
        pytest.param(wandb.Settings().base_url, marks=knows_the_cloud),
    ],
)
def test_app_url_is_that_of_the_sdk(host: str) -> None:
    """API base URL and app URL relate as in the SDK."""
    assert app_url(host) == wandb.Settings(base_url=host).app_url


@knows_the_cloud
def test_default_host_is_that_of_the_sdk() -> None:
    """Without a host, links lead to the server that the SDK logs to."""
    assert app_url(None) == wandb.Settings().app_url


def test_defaults_that_the_sdk_does_not_know_are_left_out() -> None:
    """SDKs before 0.31 lack one of them."""
    settings = _supported({**FLUSH_INTERVALS, "x_of_a_newer_sdk": 1})

    assert set(settings) - {"x_of_a_newer_sdk"} == FLUSH_INTERVALS.keys() & wandb.Settings.model_fields.keys()
    assert "x_of_a_newer_sdk" in settings


@pytest.mark.parametrize("name", FLUSH_INTERVALS)
def test_settings_of_the_user_reach_every_sdk(name: str) -> None:
    assert _supported({name: 9}) == {name: 9}
