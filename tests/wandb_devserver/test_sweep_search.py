"""Comparison of the searches with W&B's package `sweeps`."""

from __future__ import annotations

import json
import random
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_devserver import UsageError
from wandb_devserver._search.bayes import Result, propose
from wandb_devserver._search.config import SweepConfig, parse_config
from wandb_devserver._search.distributions import DISTRIBUTIONS
from wandb_devserver._search.points import draw, next_point

with warnings.catch_warnings():
    # The package's models warn at import.
    warnings.simplefilter("ignore")
    theirs: Any = pytest.importorskip("sweeps", reason="W&B's package 'sweeps' is not installed: it needs NumPy 1")
    their_parameters: Any = pytest.importorskip("sweeps.params")
    numpy: Any = pytest.importorskip("numpy")
    stats: Any = pytest.importorskip("scipy.stats")

DRAWS = 2000
SECTIONS: dict[str, dict[str, object]] = {
    "int_uniform": {"min": 1, "max": 9},
    "uniform": {"min": -1.5, "max": 4.0},
    "log_uniform": {"min": -3.0, "max": 2.0},
    "log_uniform_values": {"min": 0.001, "max": 10.0},
    "inv_log_uniform": {"min": -3.0, "max": 2.0},
    "inv_log_uniform_values": {"min": 0.001, "max": 10.0},
    "normal": {"mu": 2.0, "sigma": 0.5},
    "log_normal": {"mu": 0.5, "sigma": 0.7},
    "beta": {"a": 2.0, "b": 5.0},
    "q_uniform": {"min": 0, "max": 10, "q": 2},
    "q_log_uniform": {"min": 0.0, "max": 3.0, "q": 0.5},
    "q_log_uniform_values": {"min": 1.0, "max": 20.0, "q": 1},
    "q_normal": {"mu": 2.0, "sigma": 3.0, "q": 1},
    "q_log_normal": {"mu": 1.0, "sigma": 0.7, "q": 0.5},
    "q_beta": {"a": 2.0, "b": 5.0, "q": 0.1},
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_drawn_values_have_the_distribution_of_the_package(name: str) -> None:
    """A Kolmogorov-Smirnov test cannot tell the two samples apart."""
    section = {"distribution": name, **SECTIONS[name]}
    source = random.Random(7)
    parameters = parse_config(json.dumps({"method": "random", "parameters": {"x": section}})).parameters
    ours = [draw(parameters, source)["x"] for _ in range(DRAWS)]
    parameter = their_parameters.HyperParameter("x", section)
    expected = parameter.ppf((numpy.arange(DRAWS) + 0.5) / DRAWS)

    assert stats.ks_2samp(ours, expected).pvalue > 0.001


@pytest.mark.parametrize(
    "parameters",
    [
        {"b": {"values": [3, 1, 2]}, "a": {"values": ["x", None, True]}, "c": {"value": 0.5}},
        {"a": {"min": 2, "max": 4}, "b": {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25}},
        {"a": {"values": [1, 1, 2]}, "b": {"values": [[1], {"k": 1}]}},
    ],
)
def test_grid_has_the_points_of_the_package(parameters: dict[str, object]) -> None:
    """The same points are in the same order."""
    document = {"method": "grid", "parameters": parameters}
    leaves = parse_config(json.dumps(document)).parameters
    ours, runs = list[Any](), list[Any]()
    while (suggestion := theirs.next_run(document, runs)) is not None:
        runs.append(suggestion)
    while (point := next_point(leaves, ours)) is not None:
        ours.append(point)

    assert ours == [{key: entry["value"] for key, entry in run.config.items()} for run in runs]


HISTORIES = st.lists(st.lists(st.integers(0, 20).map(float), max_size=14), min_size=1, max_size=7)


@given(
    HISTORIES,
    st.sampled_from(
        [{"min_iter": 2}, {"min_iter": 1, "eta": 2}, {"max_iter": 12, "s": 2}, {"min_iter": 3, "eta": 1.5}],
    ),
    st.booleans(),
    st.booleans(),
)
def test_hyperband_stops_the_trials_that_the_package_stops(
    histories: list[list[float]], rule: dict[str, object], strict: bool, maximize: bool
) -> None:
    """This holds for any logged values, for both goals, strict or not."""
    document = {
        "method": "random",
        "metric": {"name": "loss", "goal": "maximize" if maximize else "minimize"},
        "early_terminate": {"type": "hyperband", "strict": strict, **rule},
        "parameters": {"a": {"value": 1}},
    }
    runs = [
        theirs.SweepRun(name=str(index), state="running", history=[{"loss": value} for value in history])
        for index, history in enumerate(histories)
    ]
    expected = {run.name for run in theirs.stop_runs(document, runs)}
    parsed = parse_config(json.dumps(document)).early_terminate
    assert parsed is not None
    signed = [[-value if maximize else value for value in history] for history in histories]

    def values_at(step: int) -> list[float]:
        return [history[step - 1] for history in signed if len(history) >= step]

    assert {str(index) for index, history in enumerate(signed) if parsed.stops(history, values_at)} == expected


def bayes(parameters: dict[str, object], goal: str = "minimize") -> Any:
    metric = {"name": "loss", "goal": goal}
    return parse_config(json.dumps({"method": "bayes", "metric": metric, "parameters": parameters}))


def test_bayes_supports_nested_constant_and_weighted_parameters() -> None:
    """The package alone does not. Proposals can be written as JSON."""
    config = bayes(
        {
            "fixed": {"value": [1, 2]},
            "net": {"parameters": {"depth": {"min": 1, "max": 4}, "lr": {"min": 0.1, "max": 1.0}}},
            "kind": {"values": ["a", "b"], "probabilities": [0.5, 0.5]},
            "step": {"distribution": "q_uniform", "min": 0, "max": 10, "q": 5},
        }
    )
    first: Any = propose(config, [])
    elsewhere = Result("finished", {"net": {"depth": 3}}, [0.5])
    earlier = [Result(state, first, []) for state in ("failed", "pending")]
    second: Any = propose(config, [Result("finished", first, [0.5]), *earlier, elsewhere])

    for point in (first, second):
        assert json.loads(json.dumps(point)) == point
        assert point["fixed"] == [1, 2]
        assert point["net"]["depth"] in (1, 2, 3, 4)
        assert 0.1 <= point["net"]["lr"] <= 1
        assert (point["kind"] in "ab", point["step"] in (0, 5, 10)) == (True, True)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_bayes_proposes_a_point_near_the_optimum(goal: str) -> None:
    """After a few trials, the next one lies at the better end of a slope."""
    config = bayes({"x": {"min": 0.0, "max": 1.0}}, goal)
    sign = 1 if goal == "minimize" else -1
    results = [Result("finished", {"x": step / 10}, [sign * step / 10]) for step in range(11)]
    proposal: Any = propose(config, results)["x"]

    assert proposal < 0.3


OPTIONS: list[dict[str, object]] = [
    {},
    {"min": 1, "max": 2},
    {"min": 1, "max": 1},
    {"min": 2, "max": 1},
    {"min": 0.5, "max": 1.5},
    {"min": "a", "max": "b"},
    {"mni": 1, "max": 2},
    {"min": 1, "max": 9, "q": 2},
    {"min": 1, "max": 9, "q": 0},
    {"mu": 0, "sigma": 1},
    {"mu": 0, "sigma": -1},
    {"a": 1, "b": 2},
    {"a": -1, "b": 2},
    {"value": 1},
    {"values": [1, 2]},
    {"values": []},
    {"value": 1, "values": [1]},
    {"values": [1, 2], "probabilities": [0.5, 0.5]},
    {"values": [1, 2], "probabilities": [0.5, 0.4]},
    {"values": [1, 2], "probabilities": [1]},
]
DEPRECATED = ("log_uniform", "q_log_uniform", "inv_log_uniform")


def is_refused_by_theirs(config: dict[str, object]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs.next_run(theirs.SweepConfig(config), [], validate=False)
        # The package raises exceptions of many types.
        except Exception:  # noqa: BLE001
            return True
    return False


def is_refused(config: dict[str, object]) -> bool:
    return accepted(config) is None


def accepted(config: dict[str, object]) -> SweepConfig | None:
    try:
        return parse_config(json.dumps(config))
    except UsageError:
        return None


@pytest.mark.parametrize("distribution", [None, "constant", "categorical", "zipf", *SECTIONS])
@pytest.mark.parametrize("method", ["grid", "random"])
def test_parameters_that_the_package_refuses_are_refused(method: str, distribution: str | None) -> None:
    named: dict[str, object] = {} if distribution is None else {"distribution": distribution}
    configs: list[dict[str, object]] = [
        {"method": method, "parameters": {"x": {**named, **options}}} for options in OPTIONS
    ]
    if distribution in DEPRECATED:
        # Refused by the package under all bounds; W&B warns, and so does this server.
        configs = [config for config in configs if is_refused(config)]

    assert [config for config in configs if is_refused(config) != is_refused_by_theirs(config)] == []


@pytest.mark.parametrize(
    "section",
    [
        {"metod": 1},
        {"metric": {"name": "loss", "gaol": "minimize"}},
        {"metric": {"goal": "minimize"}},
        {"metric": "loss"},
        {"run_cap": 0},
        {"run_cap": "3"},
        {"name": 3},
        {"program": 3},
        {"command": "python"},
        {"early_terminate": {"type": "median"}},
        {"early_terminate": {"type": "hyperband", "min_iter": 0}},
        {"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1}},
        {"early_terminate": {"type": "hyperband", "min_iter": 1, "etta": 2}},
    ],
    ids=str,
)
def test_sections_that_the_package_refuses_are_refused(section: dict[str, object]) -> None:
    config: dict[str, object] = {
        "method": "random",
        "parameters": {"x": {"values": [1]}},
        "metric": {"name": "loss", "goal": "minimize"},
    }

    assert is_refused_by_theirs({**config, **section})
    assert is_refused({**config, **section})
    assert not is_refused_by_theirs(config)
    assert not is_refused(config)
