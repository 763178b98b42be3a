"""Validation of sweep configurations, as a table."""

from typing import Any

import pytest
import wandb
from wandb_sweeps._config.validation import problems_of, with_distributions
from wandb_sweeps._server.manage import as_yaml

GOOD: dict[str, Any] = {"method": "random", "parameters": {"lr": {"values": [1, 2]}}}
METRIC = {"name": "loss", "goal": "minimize"}


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
    ],
)
def test_valid_configuration_has_no_problems(config: dict[str, Any]) -> None:
    assert problems_of({**GOOD, **config}) == []


@pytest.mark.parametrize(
    ("config", "path", "reason"),
    [
        ({"method": None}, "method", "None is unknown; give one of 'grid', 'random', 'bayes'"),
        ({"method": "halving"}, "method", "unknown"),
        ({"method": "bayes"}, "metric", "is missing, but method 'bayes' requires it"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 3}}, "metric", "early_terminate requires it"),
        ({"metric": "loss"}, "metric", "must be a dictionary"),
        ({"metric": {"goal": "minimize"}}, "metric['name']", "is missing"),
        ({"metric": {"name": "loss", "goal": "min"}}, "metric['goal']", "'minimize' or 'maximize'"),
        ({"metric": {**METRIC, "target": "low"}}, "metric['target']", "is not a number"),
        ({"parameters": None}, "parameters", "is missing"),
        ({"parameters": {}}, "parameters", "is empty"),
        ({"parameters": [1]}, "parameters", "is [1]"),
        (space(a=3), "parameters['a']", "'value'"),
        (space(a=[1, 2]), "parameters['a']", "'values'"),
        (space(a={}), "parameters['a']", "defines no search space"),
        (space(a={"valeus": [1]}), "parameters['a']", "defines no search space"),
        (space(a={"values": []}), "parameters['a']['values']", "at least one"),
        (space(a={"values": "abc"}), "parameters['a']['values']", "must be a list"),
        (space(a={"values": [1, 2], "probabilities": [1]}), "parameters['a']['probabilities']", "1 entries for 2"),
        (space(a={"values": [1], "probabilities": ["x"]}), "parameters['a']['probabilities']", "list of numbers"),
        (space(a={"values": [1, 2], "probabilities": [0.5, 0.6]}), "parameters['a']['probabilities']", "add up to"),
        (space(a={"min": 1}), "parameters['a']['max']", "is missing, while 'min' is given"),
        (space(a={"max": 1}), "parameters['a']['min']", "is missing, while 'max' is given"),
        (space(a={"min": "0", "max": 1}), "parameters['a']['min']", "is not a number"),
        (space(a={"min": 2, "max": 1}), "parameters['a']", "'min' 2 is above 'max' 1"),
        (space(a={"min": 0, "max": 1.5}), "parameters['a']", "is ambiguous: its bounds are int 0 and float 1.5"),
        (space(a={"min": 0, "max": 0.5, "distribution": "int_uniform"}), "parameters['a']", "must be int"),
        (space(a={"distribution": "log_uniform"}), "parameters['a']", "'min' and 'max' are missing"),
        (space(a={"distribution": "gauss"}), "parameters['a']['distribution']", "'gauss' is unknown"),
        (space(a={"distribution": "normal", "mu": "x"}), "parameters['a']['mu']", "is not a number"),
        (space(a={"parameters": {}}), "parameters['a']['parameters']", "is empty"),
        (space(a={"parameters": {"b": {"min": 0, "max": 0.5}}}), "parameters['a']['parameters']['b']", "ambiguous"),
        ({"method": "grid", **space(a={"min": 0.0, "max": 1.0})}, "parameters['a']", "is infinite"),
        ({"method": "grid", **space(a={"distribution": "normal"})}, "parameters['a']", "is infinite"),
        ({"metric": METRIC, "early_terminate": {"type": "median"}}, "early_terminate['type']", "'hyperband'"),
        ({"metric": METRIC, "early_terminate": {"type": "hyperband"}}, "early_terminate['min_iter']", "is missing"),
    ],
)
def test_problem_starts_with_the_path_of_its_key(config: dict[str, Any], path: str, reason: str) -> None:
    (problem,) = problems_of({**GOOD, **config})

    assert problem.startswith(f"{path}: ")
    assert reason in problem


def test_all_problems_are_reported_at_once() -> None:
    paths = [text.partition(":")[0] for text in problems_of(space(a={}, b={"values": []}))]

    assert paths == ["method", "parameters['a']", "parameters['b']['values']"]


def test_distributions_implied_by_bounds_are_added() -> None:
    """As `wandb.sweep()` does, in nested parameters too; given ones stay."""
    nested = {"parameters": {"b": {"min": 0.5, "max": 1.5}}}
    config = {"method": "random", **space(a={"min": 1, "max": 3}, n=nested, c={"value": 1})}

    assert with_distributions(config) == {
        "method": "random",
        "parameters": {
            "a": {"min": 1, "max": 3, "distribution": "int_uniform"},
            "n": {"parameters": {"b": {"min": 0.5, "max": 1.5, "distribution": "uniform"}}},
            "c": {"value": 1},
        },
    }


def test_yaml_keeps_strings_that_look_like_numbers() -> None:
    """W&B parses YAML by other rules than PyYAML."""
    config = {"a": ["008", "1e-5", "no", "", "ä: #"], "b": [1e-05, 1, 0.5, None, True], "c": {"d": {}}}

    assert wandb.util.load_yaml(as_yaml(config)) == config
