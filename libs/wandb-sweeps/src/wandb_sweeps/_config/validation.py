"""Validation of a sweep configuration: each field where it is written, fields together before a sweep is created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wandb_runtime.config import values

from wandb_sweeps._config.search_space import (
    NUMBER,
    Key,
    is_int,
    is_number,
    leaves,
    problems_of_keys,
    problems_of_space,
    required,
)
from wandb_sweeps._errors import SweepConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

METHODS = ("grid", "random", "bayes")

_IN_A_GRID = frozenset({"categorical", "constant", "int_uniform", "q_uniform"})


def _one_of(*choices: object) -> Key:
    known = ", ".join(map(repr, choices))
    return Key(f"must be one of {known}", lambda value: any(value is choice or value == choice for choice in choices))


_TEXT = Key("must be a text of at least one character", lambda value: isinstance(value, str) and bool(value))
_METRIC = {
    "name": required(_TEXT),
    "goal": _one_of("minimize", "maximize"),
    "target": NUMBER,
    "impute": _one_of("latest", "best", "worst"),
    "impute_while_running": _one_of("latest", "best", "worst", "false"),
}
_HYPERBAND = {
    "type": required(_one_of("hyperband")),
    "min_iter": Key("must be an int above 0", lambda value: is_int(value) and value > 0),
    "max_iter": Key("must be an int", is_int),
    "s": NUMBER,
    "eta": Key("must be a number above 1", lambda value: is_number(value) and value > 1),
    "strict": Key("must be True or False", lambda value: isinstance(value, bool)),
}
_SCHEDULER = {
    "engine": required(_one_of("wandb")),
    "source": _TEXT,
    "optimizer": _TEXT,
    "search_space": _TEXT,
}
_CONTROLLER = {"type": required(_one_of("cloud", "local"))}


def parameters(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Require a search space."""
    space = values.mapping(field, value)
    _refuse(problems_of_space(field, space))
    return space


def metric(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Require the metric of a sweep."""
    return _section(field, value, _METRIC, "a metric")


def early_terminate(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Require a Hyperband early termination."""
    section = _section(field, value, _HYPERBAND, "early_terminate")
    if "min_iter" not in section and not {"max_iter", "s"} <= section.keys():
        _refuse([f"{field}: lacks 'min_iter'; give it, or 'max_iter' and 's'"])
    return section


def scheduler(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Require a scheduler that chooses trials by W&B's methods."""
    return _section(field, value, _SCHEDULER, "a scheduler")


def controller(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Require a controller."""
    return _section(field, value, _CONTROLLER, "a controller")


def check_together(config: Mapping[str, Any]) -> None:
    """Check the fields of a sweep configuration against each other.

    Args:
        config: The configuration, in the form of `wandb.sweep()`. Each field is valid.

    Raises:
        SweepConfigError: W&B cannot search with it.
    """
    _refuse(_between_fields(config))


def _between_fields(config: Mapping[str, Any]) -> Iterable[str]:
    method, space = config.get("method"), config.get("parameters")
    if method is None:
        yield f"method: is missing; give one of {', '.join(map(repr, METHODS))}"
    if "metric" not in config and (method == "bayes" or "early_terminate" in config):
        needs = "method 'bayes'" if method == "bayes" else "early_terminate"
        yield f"metric: is missing, but {needs} requires it; give {{'name': 'loss', 'goal': 'minimize'}}"
    if "scheduler" in config and "early_terminate" in config:
        yield "early_terminate: cannot be used together with 'scheduler'; leave one of them out"
    if space is None:
        yield "parameters: is missing; give a dictionary such as {'lr': {'min': 0.001, 'max': 0.1}}"
        return
    found = list(leaves("parameters", space))
    for path, distribution in found:
        if distribution == "categorical_w_probabilities" and method in ("grid", "bayes"):
            yield f"{path}['probabilities']: only method 'random' can use them; leave them out"
        elif method == "grid" and distribution not in _IN_A_GRID:
            yield f"{path}: {distribution!r} is infinite, and 'grid' tries all values; give 'values' or int bounds"
    if method == "bayes" and all(distribution == "constant" for _, distribution in found):
        yield "parameters: method 'bayes' requires one that is not constant; give 'values', or 'min' and 'max'"


def _section(field: str, value: Mapping[str, Any], keys: Mapping[str, Key], owner: str) -> dict[str, Any]:
    section = values.mapping(field, value)
    _refuse(problems_of_keys(field, section, keys, owner))
    return section


def _refuse(problems: Iterable[str]) -> None:
    if found := list(problems):
        raise SweepConfigError(found)
