"""Validation of a sweep configuration, before anything is created.

W&B accepts nearly everything, and fails only when the first agent requests a trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ("grid", "random", "bayes")

_GOALS = ("minimize", "maximize")
_BOUNDED = frozenset(
    {
        "uniform",
        "int_uniform",
        "q_uniform",
        "log_uniform",
        "log_uniform_values",
        "q_log_uniform",
        "q_log_uniform_values",
        "inv_log_uniform",
        "inv_log_uniform_values",
    }
)
_NORMAL = frozenset({"normal", "q_normal", "log_normal", "q_log_normal"})
_LISTED = frozenset({"categorical", "categorical_w_probabilities"})
_DISTRIBUTIONS = _BOUNDED | _NORMAL | _LISTED | {"constant", "beta", "q_beta"}
# Distributions with a finite number of values, as grid search requires.
_COUNTABLE = _LISTED | {"constant", "int_uniform", "q_uniform"}
_NO_SEARCH = "defines no search space; give 'value', 'values', 'min' and 'max', or nested 'parameters'"
_AMBIGUOUS = "{path}: is ambiguous: its bounds are {bounds}; write both as int or as float, or give a 'distribution'"
_INFINITE = "{path}: {distribution!r} is infinite, and method 'grid' tries all values; give 'values' or int bounds"


def problems_of(config: Mapping[str, Any]) -> list[str]:
    """List every problem of a sweep configuration; each starts with the path of a key.

    Args:
        config: The configuration, in the form of `wandb.sweep()`.
    """
    return [*_of_method(config), *_of_metric(config), *_of_parameters(config), *_of_early_terminate(config)]


def with_distributions(config: Mapping[str, Any]) -> dict[str, Any]:
    """Add the distributions that bounds imply, as `wandb.sweep()` does."""
    filled = dict(config)
    if isinstance(config.get("parameters"), Mapping):
        filled["parameters"] = {name: _filled(value) for name, value in config["parameters"].items()}
    return filled


def _filled(parameter: Any) -> Any:
    if not isinstance(parameter, Mapping):
        return parameter
    if isinstance(parameter.get("parameters"), Mapping):
        return with_distributions(parameter)
    implied = _implied(parameter)
    return dict(parameter) if implied is None else {**parameter, "distribution": implied}


def _implied(parameter: Mapping[str, Any]) -> str | None:
    """Return the distribution that the bounds of a parameter imply, if it names none."""
    if "distribution" in parameter or "min" not in parameter or "max" not in parameter:
        return None
    kinds = {type(parameter["min"]), type(parameter["max"])}
    return {frozenset({int}): "int_uniform", frozenset({float}): "uniform"}.get(frozenset(kinds))


def _of_method(config: Mapping[str, Any]) -> Iterator[str]:
    known = ", ".join(map(repr, METHODS))
    if "method" not in config:
        yield f"method: is missing; give one of {known}"
    elif config["method"] not in METHODS:
        yield f"method: {config['method']!r} is unknown; give one of {known}"


def _of_metric(config: Mapping[str, Any]) -> Iterator[str]:
    metric = config.get("metric")
    if metric is None:
        needs = "method 'bayes'" if config.get("method") == "bayes" else "early_terminate"
        if needs == "method 'bayes'" or "early_terminate" in config:
            yield f"metric: is missing, but {needs} requires it; give {{'name': 'loss', 'goal': 'minimize'}}"
        return
    if not isinstance(metric, Mapping):
        yield f"metric: must be a dictionary such as {{'name': 'loss', 'goal': 'minimize'}}, not {metric!r}"
        return
    if not isinstance(metric.get("name"), str) or not metric["name"]:
        yield "metric['name']: is missing; give the name of a value that trials log"
    if metric.get("goal", "minimize") not in _GOALS:
        yield f"metric['goal']: {metric['goal']!r} is unknown; give 'minimize' or 'maximize'"
    if not _is_number(metric.get("target", 0)):
        yield f"metric['target']: {metric['target']!r} is not a number"


def _of_parameters(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_space("parameters", config.get("parameters"), is_grid=config.get("method") == "grid")


def _of_space(path: str, space: object, *, is_grid: bool) -> Iterator[str]:
    if not isinstance(space, Mapping) or not space:
        found = "is missing" if space is None else "is empty" if space in ({}, [], "") else f"is {space!r}"
        yield f"{path}: {found}; give a dictionary such as {{'lr': {{'min': 0.001, 'max': 0.1}}}}"
        return
    for name, parameter in space.items():
        yield from _of_parameter(f"{path}[{name!r}]", parameter, is_grid=is_grid)


def _of_parameter(path: str, parameter: object, *, is_grid: bool) -> Iterator[str]:
    if not isinstance(parameter, Mapping):
        hint = "'values': [...]" if isinstance(parameter, list) else "'value': ..."
        yield f"{path}: is {parameter!r}; give a dictionary such as {{{hint}}}"
        return
    if "parameters" in parameter:
        yield from _of_space(f"{path}['parameters']", parameter["parameters"], is_grid=is_grid)
        return
    distribution = parameter.get("distribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        yield f"{path}['distribution']: {distribution!r} is unknown; give one of {', '.join(sorted(_DISTRIBUTIONS))}"
        return
    if "value" in parameter:
        return
    if "values" in parameter:
        yield from _of_values(path, parameter)
    elif distribution in _NORMAL or distribution in ("beta", "q_beta"):
        yield from _of_shape(path, parameter)
    elif "min" in parameter or "max" in parameter:
        yield from _of_bounds(path, parameter)
        distribution = distribution or _implied(parameter)
    elif distribution in _BOUNDED:
        yield f"{path}: 'min' and 'max' are missing, but {distribution!r} requires them"
    else:
        yield f"{path}: {_NO_SEARCH}"
        return
    if is_grid and distribution is not None and distribution not in _COUNTABLE:
        yield _INFINITE.format(path=path, distribution=distribution)


def _of_values(path: str, parameter: Mapping[str, Any]) -> Iterator[str]:
    values = parameter["values"]
    if not isinstance(values, list) or not values:
        yield f"{path}['values']: must be a list of at least one value, not {values!r}"
        return
    chances = parameter.get("probabilities")
    if chances is None:
        return
    if not isinstance(chances, list) or not all(_is_number(chance) and chance >= 0 for chance in chances):
        yield f"{path}['probabilities']: must be a list of numbers from 0 to 1, not {chances!r}"
    elif len(chances) != len(values):
        yield f"{path}['probabilities']: has {len(chances)} entries for {len(values)} values; give one for each"
    elif abs(sum(chances) - 1) > 1e-6:
        yield f"{path}['probabilities']: add up to {sum(chances)!r}; they must add up to 1"


def _of_bounds(path: str, parameter: Mapping[str, Any]) -> Iterator[str]:
    for name, other in (("min", "max"), ("max", "min")):
        if name not in parameter:
            yield f"{path}[{name!r}]: is missing, while {other!r} is given"
            return
        if not _is_number(parameter[name]):
            yield f"{path}[{name!r}]: {parameter[name]!r} is not a number"
            return
    low, high = parameter["min"], parameter["max"]
    if low > high:
        yield f"{path}: 'min' {low!r} is above 'max' {high!r}"
    if "distribution" not in parameter and _implied(parameter) is None:
        bounds = f"{type(low).__name__} {low!r} and {type(high).__name__} {high!r}"
        yield _AMBIGUOUS.format(path=path, bounds=bounds)
    if parameter.get("distribution") == "int_uniform" and not (type(low) is int and type(high) is int):
        yield f"{path}: the bounds of 'int_uniform' must be int, not {low!r} and {high!r}"


def _of_shape(path: str, parameter: Mapping[str, Any]) -> Iterator[str]:
    for name in ("mu", "sigma", "a", "b", "q"):
        if name in parameter and not _is_number(parameter[name]):
            yield f"{path}[{name!r}]: {parameter[name]!r} is not a number"


def _of_early_terminate(config: Mapping[str, Any]) -> Iterator[str]:
    stopping = config.get("early_terminate")
    if stopping is None:
        return
    if not isinstance(stopping, Mapping) or stopping.get("type") != "hyperband":
        given = stopping.get("type") if isinstance(stopping, Mapping) else stopping
        yield f"early_terminate['type']: {given!r} is unknown; give 'hyperband'"
    elif "min_iter" not in stopping and not {"max_iter", "s"} <= stopping.keys():
        yield "early_terminate['min_iter']: is missing; give it, or 'max_iter' and 's'"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
