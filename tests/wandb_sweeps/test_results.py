"""Results of sweeps."""

import math
import pickle

import pytest
from wandb_sweeps import AgentsFailedError, SweepResult, Trial


def result(*trials: Trial, metric: str = "loss", goal: str = "minimize") -> SweepResult:
    return SweepResult("e/p/s", "https://wandb.ai/e/p/sweeps/s", "finished", list(trials), metric, goal)


def trial(name: str, state: str = "finished", **summary: object) -> Trial:
    return Trial(name, name, state, summary=summary)


A, B, C = trial("a", loss=2), trial("b", loss=1.5), trial("c", loss=3)


@pytest.mark.parametrize(
    ("sweep", "ranked", "best"),
    [
        (result(A, B, C), "bac", "b"),
        (result(A, B, C, goal="maximize"), "cab", "c"),
        (result(trial("n"), C, trial("x", loss=math.nan), trial("t", loss="NaN")), "cnxt", "c"),
        (result(trial("x", loss=math.nan), C, A), "acx", "a"),
        (result(trial("x", loss=math.inf), C, A, goal="maximize"), "cax", "c"),
        (result(trial("f", "failed", loss=0), A), "fa", "a"),
        (result(trial("f", "failed", loss=0)), "f", "f"),
        (result(trial("v", val={"loss": 1}), trial("w", val={"loss": 0}), metric="val.loss"), "wv", "w"),
        (result(trial("v", loss={"min": 2, "max": 3}), trial("w", loss={"min": 1, "max": 9})), "wv", "w"),
        (result(trial("l", loss={"last": 2, "mean": 1}), trial("m", loss={"mean": 1.5, "max": 9})), "ml", "m"),
        (result(trial("o", loss={"max": 2}), trial("p", loss={"best": 1, "first": 3})), "po", "p"),
        (result(A, B, metric=""), "ab", None),
        (result(), "", None),
    ],
)
def test_trials_are_ranked_by_metric_and_goal(sweep: SweepResult, ranked: str, best: str | None) -> None:
    """Trials without a number are last; a failed trial is the best only if no other finished."""
    assert "".join(trial.id for trial in sweep.ranked) == ranked
    assert (sweep.best.id if sweep.best else None) == best


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(AgentsFailedError({"agent-1": "no GPU"})))

    assert error.errors == {"agent-1": "no GPU"}
    assert str(error) == "all 1 sweep agents failed; agent-1: no GPU [AgentsFailedError]"
