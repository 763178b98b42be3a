"""The section of a sweep in a Flyte report."""

from __future__ import annotations

from typing import Any

import pytest
from wandb_sweeps._lifecycle.report import sweep_section
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._results import Trial
from wandb_sweeps._server.lookup import Sweep

PARAMETERS: dict[str, Any] = {
    "lr": {"min": 0.1, "max": 1.0},
    "seed": {"value": 1},
    "model": {"parameters": {"kind": {"values": ["cnn", "mlp"]}}},
}
TRIALS = [
    Trial("a", "first", "finished", {"lr": 0.5, "model": {"kind": "cnn"}}, {"loss": 2.0, "accuracy": 0.5}),
    Trial("b", "second", "failed", {"lr": 0.25, "model": {"kind": "mlp"}}, {}),
    Trial("c", "third", "finished", {"lr": 0.125, "model": {"kind": "mlp"}}, {"loss": 1.0, "accuracy": 0.75}),
]


def sweep(**config: object) -> Sweep:
    location = SweepLocation("s", "e", "p", "https://api.wandb.test")
    return Sweep(location, "running", {"method": "random", "parameters": PARAMETERS, **config})


def test_optimized_metric_is_shown_with_the_best_trial() -> None:
    """Fixed parameters are left out; nested ones have dots. Trials without the metric come last."""
    section = sweep_section(sweep(name="search", metric={"name": "loss", "goal": "minimize"}), TRIALS, None)
    bars, parallel = section.charts

    assert (section.title, section.state, section.url) == ("search", "running", "https://app.wandb.test/e/p/sweeps/s")
    assert dict(section.facts)["Trials"] == "2 finished, 1 failed"
    assert dict(section.facts)["Best trial"] == "third: loss 1"
    assert dict(section.facts)["Its parameters"] == "lr=0.125, model.kind=mlp"
    assert bars.data() == {
        "title": "loss",
        "bars": (("first", 2.0), ("second", None), ("third", 1.0)),
        "best": [2.0, 2.0, 1.0],
    }
    assert parallel.data()["axes"] == ("lr", "model.kind", "loss")
    assert parallel.data()["lines"] == (("third", (0.125, "mlp", 1.0)), ("first", (0.5, "cnn", 2.0)))
    (leaderboard,) = section.tables
    assert leaderboard.columns == ("Trial", "State", "loss", "lr", "model.kind")
    assert leaderboard.rows == (
        ("third", "finished", "1", "0.125", "mlp"),
        ("first", "finished", "2", "0.5", "cnn"),
        ("second", "failed", "", "0.25", "mlp"),
    )
    assert section.notes == ()


def test_named_metrics_are_drawn() -> None:
    """Without a best-so-far line unless the sweep optimizes them."""
    section = sweep_section(sweep(metric={"name": "loss"}), TRIALS, ["accuracy", "loss"])

    assert [chart.title for chart in section.charts] == ["accuracy", "loss", "Parallel coordinates"]
    assert [chart.data().get("best") is not None for chart in section.charts] == [False, True, False]
    assert section.tables[0].columns == ("Trial", "State", "accuracy", "loss", "lr", "model.kind")


@pytest.mark.parametrize(
    ("config", "trials", "note"),
    [
        ({"metric": {"name": "loss"}}, [], "The sweep has no trials."),
        ({"metric": {"name": "f1"}}, TRIALS, "No trial has logged f1."),
        ({}, TRIALS, "The sweep's configuration names no metric: draw some with report=[...]."),
        ({"metric": {"name": "loss"}}, TRIALS * 400, "The sweep has more trials: these are the first 1000."),
    ],
    ids=["no trials", "metric not logged", "no metric", "many trials"],
)
def test_missing_parts_are_explained(config: dict[str, object], trials: list[Trial], note: str) -> None:
    assert sweep_section(sweep(**config), trials, None).notes == (note,)
