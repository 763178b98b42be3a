"""Sweep configuration and sweep links."""

import pickle
from typing import Any

import pytest
from wandb_artifacts import InvalidValueError
from wandb_runtime import WandbConfig, wandb_config
from wandb_sweeps import WandbSweep, WandbSweepConfig, get_wandb_sweep_context, wandb_sweep_config

SWEEP = wandb_sweep_config(
    method="bayes",
    metric={"name": "loss", "goal": "minimize"},
    parameters={"lr": {"min": 0.1, "max": 0.2}, "layers": {"values": [1, 2]}},
    project="sweeps",
    prior_runs=["a"],
    name="mine",
    on_exit="stop",
    run_cap=5,
    early_terminate={"type": "hyperband", "min_iter": 3},
)


def test_fields_read_back_beside_the_configuration_of_runs() -> None:
    both = {**wandb_config(project="runs", name="run"), **SWEEP}
    read = WandbSweepConfig.from_context(both)

    assert read == SWEEP == pickle.loads(pickle.dumps(SWEEP))
    assert (read.method, read.project, read.name, read.run_cap) == ("bayes", "sweeps", "mine", 5)
    assert read.parameters == {"lr": {"min": 0.1, "max": 0.2}, "layers": {"values": [1, 2]}}
    assert WandbConfig.from_context(both) == wandb_config(project="runs", name="run")
    assert both["wandb_sweep_method"] == "bayes"
    assert get_wandb_sweep_context() == {}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"method": "gird"}, "method='gird': must be one of 'grid', 'random', 'bayes'"),
        ({"on_exit": "cancel"}, "on_exit='cancel'"),
        ({"on_failure": "x"}, "on_failure='x'"),
        ({"run_cap": 0}, "run_cap=0"),
        ({"parameters": {"a": {"value": object()}}}, "parameters['a']['value']"),
        ({"metric": "loss"}, "metric='loss'"),
        ({"lr": {"min": 1}}, "lr={'min': 1}"),
    ],
)
def test_invalid_value_is_refused(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        wandb_sweep_config(**arguments)

    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("to", "context", "expected"),
    [
        (WandbSweep("http://h", "p", "e"), {}, "http://h/e/p/sweeps"),
        (WandbSweep("http://h", "p", "e", "s1"), {}, "http://h/e/p/sweeps/s1"),
        (WandbSweep("http://h", "p", "e"), {"_wandb_sweep_id": "s2"}, "http://h/e/p/sweeps/s2"),
        (WandbSweep(), {**wandb_config("p", "e", host="http://h"), **SWEEP}, "http://h/e/sweeps/sweeps"),
        (WandbSweep(), wandb_config("my p", "e", host="http://h"), "http://h/e/my%20p/sweeps"),
        (WandbSweep("http://h", "p"), {}, "http://h"),
    ],
)
def test_link_leads_to_the_sweep_or_its_project(
    to: WandbSweep, context: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that does not exist yet has the link of the project's sweeps."""
    monkeypatch.delenv("WANDB_ENTITY", raising=False)
    monkeypatch.delenv("WANDB_APP_URL", raising=False)
    arguments = {"run_name": "r", "project": "", "domain": "", "parent_action_name": "r", "action_name": "a"}

    assert to.get_link(**arguments, context=context, pod_name="localhost") == expected
