"""Validation of sweep configurations, as a table, and against W&B's `sweeps` package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import wandb
from wandb_artifacts import InvalidValueError
from wandb_sweeps import SweepConfigError, wandb_sweep_config
from wandb_sweeps._config.search_space import DISTRIBUTIONS, with_distributions
from wandb_sweeps._config.validation import check_together
from wandb_sweeps._server.manage import as_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD: dict[str, Any] = {"method": "random", "parameters": {"lr": {"values": [1, 2]}}}
METRIC = {"name": "loss", "goal": "minimize"}


def problems_of(config: dict[str, Any]) -> list[str]:
    """List the problems that are reported when the fields are written, else those found before a sweep is created."""
    try:
        wandb_sweep_config(**config)
        check_together(config)
    except SweepConfigError as error:
        return list(error.problems)
    except InvalidValueError as error:
        return [str(error)]
    return []


def space(**parameters: Any) -> dict[str, Any]:
    return {"parameters": parameters}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"method": "bayes", "metric": METRIC},
        {"method": "bayes", "metric": {"name": "loss"}},
        {"metric": {**METRIC, "target": 0.1}},
        {"method": "grid", **space(a={"value": 1}, b={"values": [1]}, c={"min": 1, "max": 3})},
        {"method": "grid", **space(a={"min": 0.0, "max": 1.0, "q": 0.1, "distribution": "q_uniform"})},
        space(a={"min": 0.1, "max": 1.0}, b={"min": 0, "max": 1}),
        space(a={"min": 0, "max": 1.0, "distribution": "uniform"}),
        space(a={"min": -5, "max": 0, "distribution": "log_uniform"}),
        space(a={"mu": 0, "sigma": 1, "distribution": "normal"}, b={"distribution": "beta", "a": 1, "b": 2}),
        space(a={"values": ["x", "y"], "probabilities": [0.1, 0.9]}),
        space(a={"value": None}),
        space(optimizer={"parameters": {"lr": {"min": 0.1, "max": 1.0}, "name": {"value": "adam"}}}),
        {"metric": METRIC, "early_terminate": {"type": "hyperband", "min_iter": 3}},
        {"metric": METRIC, "early_terminate": {"type": "hyperband", "max_iter": 27, "s": 2}},
        {"metric": {**METRIC, "impute": "best", "impute_while_running": "false"}},
        {"scheduler": {"engine": "wandb"}, "controller": {"type": "cloud"}},
    ],
)
def test_valid_configuration_has_no_problems(config: dict[str, Any]) -> None:
    assert problems_of({**GOOD, **config}) == []


@pytest.mark.parametrize(
    ("config", "path", "reason"),
    [
        ({"method": None}, "method", "is missing; give one of 'grid', 'random', 'bayes'"),
        ({"method": "bayes"}, "metric", "is missing, but method 'bayes' requires it"),
        ({"method": "bayes", "metric": METRIC, **space(a={"value": 1})}, "parameters", "one that is not constant"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 3}}, "metric", "early_terminate requires it"),
        ({"metric": {"goal": "minimize"}}, "metric", "lacks 'name', which a metric requires"),
        ({"metric": {"name": ""}}, "metric['name']", "at least one character"),
        ({"metric": {"name": "loss", "goal": "min"}}, "metric['goal']", "'minimize', 'maximize', not 'min'"),
        ({"metric": {**METRIC, "target": "low"}}, "metric['target']", "must be a finite number, not 'low'"),
        ({"metric": {**METRIC, "gaol": "minimize"}}, "metric['gaol']", "did you mean 'goal'?"),
        ({"parameters": None}, "parameters", "is missing"),
        ({"parameters": {}}, "parameters", "is empty"),
        (space(a=3), "parameters['a']", "'value'"),
        (space(a=[1, 2]), "parameters['a']", "'values'"),
        (space(a={}), "parameters['a']", "defines no search space"),
        ({"parameters": {"learning rate": {"value": 1}}}, "parameters['learning rate']", "must begin with a letter"),
        (space(a={"valeus": [1]}), "parameters['a']['valeus']", "is unknown; did you mean 'values'?"),
        (space(a={"mni": 1}), "parameters['a']['mni']", "is unknown; did you mean 'min'?"),
        (space(a={"min": 1, "max": 2, "Q": 1}), "parameters['a']['Q']", "'int_uniform' takes 'min', 'max'"),
        (space(a={"value": 1, "values": [1]}), "parameters['a']['values']", "distribution 'constant' takes 'value'"),
        (space(a={"values": []}), "parameters['a']['values']", "at least one"),
        (space(a={"values": "abc"}), "parameters['a']['values']", "must be a list"),
        (space(a={"values": [1, 2], "probabilities": [1]}), "parameters['a']['probabilities']", "1 entries for 2"),
        (space(a={"values": [1], "probabilities": ["x"]}), "parameters['a']['probabilities']", "list of numbers"),
        (space(a={"values": [1, 2], "probabilities": [0.5, 0.6]}), "parameters['a']['probabilities']", "add up to"),
        (space(a={"values": [1], "distribution": "categorical_w_probabilities"}), "parameters['a']", "lacks 'prob"),
        (space(a={"min": 1}), "parameters['a']", "lacks 'max'"),
        (space(a={"max": 1.0}), "parameters['a']", "lacks 'min'"),
        (space(a={"min": "0", "max": 1}), "parameters['a']['min']", "must be a finite number, not '0'"),
        (space(a={"min": 2, "max": 1}), "parameters['a']", "'min' 2 must be below 'max' 1"),
        (space(a={"min": 1.0, "max": 1.0}), "parameters['a']", "'min' 1.0 must be below 'max' 1.0"),
        (space(a={"min": 0, "max": 1.5}), "parameters['a']", "is ambiguous: its bounds are int 0 and float 1.5"),
        (space(a={"min": 0, "max": 0.5, "distribution": "int_uniform"}), "parameters['a']['max']", "must be an int"),
        (space(a={"distribution": "log_uniform"}), "parameters['a']", "lacks 'min' and 'max'"),
        (space(a={"distribution": "gauss"}), "parameters['a']['distribution']", "'gauss' is unknown"),
        (space(a={"distribution": "normal", "mu": "x"}), "parameters['a']['mu']", "must be a finite number"),
        (space(a={"distribution": "normal", "sigma": -1}), "parameters['a']['sigma']", "0 or more, not -1"),
        (space(a={"parameters": {}}), "parameters['a']['parameters']", "is empty"),
        (space(a={"parameters": {"b": {"value": 1}}, "value": 1}), "parameters['a']['value']", "nested parameters"),
        (space(a={"parameters": {"b": {"min": 0, "max": 0.5}}}), "parameters['a']['parameters']['b']", "ambiguous"),
        ({"method": "grid", **space(a={"min": 0.0, "max": 1.0})}, "parameters['a']", "is infinite"),
        ({"method": "grid", **space(a={"distribution": "normal"})}, "parameters['a']", "is infinite"),
        (
            {"method": "grid", **space(a={"values": [1], "probabilities": [1]})},
            "parameters['a']['probabilities']",
            "only method 'random' can use them",
        ),
        ({"metric": METRIC, "early_terminate": {"type": "median"}}, "early_terminate['type']", "'hyperband'"),
        ({"metric": METRIC, "early_terminate": {"type": "hyperband"}}, "early_terminate", "lacks 'min_iter'"),
        ({"scheduler": {"engine": "optuna"}}, "scheduler['engine']", "must be one of 'wandb'"),
        ({"controller": {"type": "own"}}, "controller['type']", "must be one of 'cloud', 'local'"),
    ],
)
def test_problem_starts_with_the_path_of_its_key(config: dict[str, Any], path: str, reason: str) -> None:
    given = {name: value for name, value in {**GOOD, **config}.items() if value is not None}
    (problem,) = problems_of(given)

    assert problem.startswith(f"{path}: ")
    assert reason in problem


def test_all_problems_are_reported_at_once() -> None:
    written = problems_of(space(a={}, b={"values": []}))
    together = problems_of({"early_terminate": {"type": "hyperband", "min_iter": 1}})

    assert [text.partition(":")[0] for text in written] == ["parameters['a']", "parameters['b']['values']"]
    assert [text.partition(":")[0] for text in together] == ["method", "metric", "parameters"]


def test_distributions_implied_by_bounds_are_added() -> None:
    """`wandb.sweep()` adds the same ones, in nested parameters too; given ones do not change."""
    nested = {"parameters": {"b": {"min": 0.5, "max": 1.5}}}

    assert with_distributions({"a": {"min": 1, "max": 3}, "n": nested, "c": {"value": 1}}) == {
        "a": {"min": 1, "max": 3, "distribution": "int_uniform"},
        "n": {"parameters": {"b": {"min": 0.5, "max": 1.5, "distribution": "uniform"}}},
        "c": {"value": 1},
    }


VALID: dict[str, Any] = {"value": 1, "values": [1, 2], "probabilities": [0.5, 0.5], "min": 1, "max": 3}
VALID |= {"mu": 0, "sigma": 1, "a": 1, "b": 2, "q": 1}


def variants(section: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give each key a wrong value, leave it out, and add a key."""
    yield section
    for name in section:
        yield {key: value for key, value in section.items() if key != name}
        yield from ({**section, name: value} for value in (-1, 0, True, None, "x", ["x"], [1, 1]))
    yield from ({**section, name: value} for name, value in {**VALID, "unknown": 1}.items() if name not in section)
    if "min" in section:
        yield {**section, "min": 3}


def generated() -> Iterator[dict[str, Any]]:
    for name, keys in DISTRIBUTIONS.items():
        complete = {key: VALID[key] for key in keys}
        for method in ("grid", "bayes"):
            yield {"method": method, "metric": METRIC, **space(a={**complete, "distribution": name})}
        for parameter in (*variants({**complete, "distribution": name}), complete):
            yield {**GOOD, **space(a=parameter)}
    for metric in variants({**METRIC, "target": 1, "impute": "best"}):
        yield {**GOOD, "metric": metric}
    for stopping in variants({"type": "hyperband", "min_iter": 1, "max_iter": 9, "s": 2, "eta": 3, "strict": True}):
        yield {**GOOD, "metric": METRIC, "early_terminate": stopping}


def is_searched_by_wandb(config: dict[str, Any]) -> bool:
    """Return whether W&B's `sweeps` package finds a first trial, warnings about exponents aside."""
    sweeps = pytest.importorskip("sweeps", reason="the package `sweeps` has no wheel for this Python")
    try:
        violations = sweeps.config.schema_violations_from_proposed_config(config)
        is_valid = all("base-e exponents" in text for text in violations)
        return is_valid and sweeps.next_run(config, [], validate=False) is not None
    except Exception:  # noqa: BLE001 - it raises many kinds
        return False


def is_stricter_here(config: dict[str, Any]) -> bool:
    """Return whether `wandb.sweep()` refuses the bounds, or every trial would get NaN or the empty name."""
    parameter, metric = config["parameters"].get("a", {}), config.get("metric", {})
    bounds = {type(parameter[name]) for name in ("min", "max") if name in parameter}
    is_ambiguous = "distribution" not in parameter and len(bounds) > 1
    is_degenerate = any(parameter.get(name) == 0 for name in ("a", "b"))
    return is_ambiguous or is_degenerate or metric.get("name") == ""


# NumPy warns when a draw is not a number.
@pytest.mark.filterwarnings("ignore")
def test_same_configurations_are_refused_as_by_the_search_of_wandb() -> None:
    configs = [config for config in generated() if not is_stricter_here(config)]
    differing = [config for config in configs if is_searched_by_wandb(config) is bool(problems_of(config))]

    assert len(configs) > 200
    assert differing == []


def test_yaml_keeps_strings_that_look_like_numbers() -> None:
    """W&B parses YAML by other rules than PyYAML."""
    config = {"a": ["008", "1e-5", "no", "", "ä: #"], "b": [1e-05, 1, 0.5, None, True], "c": {"d": {}}}

    assert wandb.util.load_yaml(as_yaml(config)) == config
