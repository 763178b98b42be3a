"""The search space of a sweep: W&B's distributions, and the keys that each takes.

The table follows the JSON schema of W&B's `sweeps` package and the checks of `wandb.sweep()`. W&B itself only warns,
and fails when the first agent requests a trial.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Key:
    """A key of a section, and which values it takes."""

    requirement: str
    is_valid: Callable[[Any], bool]
    is_required: bool = False


def is_number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return is_int(value) or (isinstance(value, float) and math.isfinite(value))


def is_int(value: object) -> bool:
    """Return whether a value is an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _are_probabilities(value: Any) -> bool:
    return _is_filled_list(value) and all(is_number(item) and item >= 0 for item in value)


def required(key: Key) -> Key:
    """Return a key that must be given."""
    return replace(key, is_required=True)


NUMBER = Key("must be a finite number", is_number)
_POSITIVE = Key("must be a number above 0", lambda value: is_number(value) and value > 0)
_NOT_NEGATIVE = Key("must be a number of 0 or more", lambda value: is_number(value) and value >= 0)
_INT = Key("must be an int", is_int)
_ANYTHING = Key("", lambda _: True)
_LIST = Key("must be a list of at least one value", _is_filled_list)
_PROBABILITIES = Key("must be a list of numbers of 0 or more", _are_probabilities)

_BOUNDS = {"min": required(NUMBER), "max": required(NUMBER)}
_BOUNDS_OF_LOGARITHM = {"min": required(_POSITIVE), "max": required(NUMBER)}
_NORMAL = {"mu": NUMBER, "sigma": _NOT_NEGATIVE}
_BETA = {"a": _POSITIVE, "b": _POSITIVE}
_STEP = {"q": _POSITIVE}

DISTRIBUTIONS: Mapping[str, Mapping[str, Key]] = {
    "constant": {"value": required(_ANYTHING)},
    "categorical": {"values": required(_LIST)},
    "categorical_w_probabilities": {"values": required(_LIST), "probabilities": required(_PROBABILITIES)},
    "int_uniform": {"min": required(_INT), "max": required(_INT)},
    "uniform": _BOUNDS,
    "q_uniform": {**_BOUNDS, **_STEP},
    "log_uniform": _BOUNDS,
    "log_uniform_values": _BOUNDS_OF_LOGARITHM,
    "q_log_uniform": {**_BOUNDS, **_STEP},
    "q_log_uniform_values": {**_BOUNDS_OF_LOGARITHM, **_STEP},
    "inv_log_uniform": _BOUNDS,
    "inv_log_uniform_values": _BOUNDS_OF_LOGARITHM,
    "normal": _NORMAL,
    "q_normal": {**_NORMAL, **_STEP},
    "log_normal": _NORMAL,
    "q_log_normal": {**_NORMAL, **_STEP},
    "beta": _BETA,
    "q_beta": {**_BETA, **_STEP},
}
_KEYS = frozenset(key for keys in DISTRIBUTIONS.values() for key in keys) | {"distribution", "parameters"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def problems_of_space(path: str, space: object) -> Iterator[str]:
    """List every problem of a `parameters` section; each starts with the path of a key."""
    if not isinstance(space, Mapping) or not space:
        found = "is empty" if space in ({}, [], "") else f"is {space!r}"
        yield f"{path}: {found}; give a dictionary such as {{'lr': {{'min': 0.001, 'max': 0.1}}}}"
        return
    for name, parameter in space.items():
        if not _NAME.fullmatch(name):
            yield f"{path}[{name!r}]: must begin with a letter or '_' and consist of letters, digits, '_', '.', '-'"
        yield from _of_parameter(f"{path}[{name!r}]", parameter)


def problems_of_keys(path: str, section: Mapping[str, Any], keys: Mapping[str, Key], owner: str) -> Iterator[str]:
    """List the wrong values, the missing and the unknown keys of a section.

    Args:
        path: The path of the section.
        section: The section.
        keys: The keys that it takes.
        owner: What takes them, for messages: "distribution 'uniform'".
    """
    missing = [name for name, key in keys.items() if key.is_required and name not in section]
    if missing:
        yield f"{path}: lacks {' and '.join(map(repr, missing))}, which {owner} requires"
    for name, value in section.items():
        if name not in keys:
            takes = f"{owner} takes {', '.join(map(repr, keys))}"
            yield f"{path}[{name!r}]: {_unknown(name, keys)}; {takes}"
        elif not keys[name].is_valid(value):
            yield f"{path}[{name!r}]: {keys[name].requirement}, not {value!r}"


def leaves(path: str, space: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the path and the distribution of each parameter of a valid search space, nested ones included."""
    for name, parameter in space.items():
        here = f"{path}[{name!r}]"
        if "parameters" in parameter:
            yield from leaves(f"{here}['parameters']", parameter["parameters"])
        else:
            yield here, _distribution_of(parameter) or ""


def with_distributions(space: Mapping[str, Any]) -> dict[str, Any]:
    """Add the distributions that bounds imply to a valid search space, as `wandb.sweep()` does."""
    return {name: _filled(parameter) for name, parameter in space.items()}


def _filled(parameter: Mapping[str, Any]) -> dict[str, Any]:
    if "parameters" in parameter:
        return {"parameters": with_distributions(parameter["parameters"])}
    return {**parameter, "distribution": _distribution_of(parameter)} if "min" in parameter else dict(parameter)


def _of_parameter(path: str, parameter: object) -> Iterator[str]:
    if not isinstance(parameter, Mapping):
        hint = "'values': [...]" if isinstance(parameter, list) else "'value': ..."
        yield f"{path}: is {parameter!r}; give a dictionary such as {{{hint}}}"
        return
    if "parameters" in parameter:
        yield from problems_of_keys(path, parameter, {"parameters": _ANYTHING}, "a group of nested parameters")
        yield from problems_of_space(f"{path}['parameters']", parameter["parameters"])
        return
    distribution = _distribution_of(parameter)
    if distribution is None:
        yield from _without_distribution(path, parameter)
    elif distribution not in DISTRIBUTIONS:
        yield f"{path}['distribution']: {distribution!r} is unknown; give one of {', '.join(sorted(DISTRIBUTIONS))}"
    else:
        keys = {**DISTRIBUTIONS[distribution], "distribution": _ANYTHING}
        problems = list(problems_of_keys(path, parameter, keys, f"distribution {distribution!r}"))
        yield from problems or _between_values(path, parameter)


def _distribution_of(parameter: Mapping[str, Any]) -> str | None:
    """Return the distribution that a parameter names or implies; None if it is ambiguous, or implies none."""
    if "distribution" in parameter:
        return str(parameter["distribution"])
    if "value" in parameter:
        return "constant"
    if "values" in parameter:
        return "categorical_w_probabilities" if "probabilities" in parameter else "categorical"
    kinds = {type(parameter[bound]) for bound in ("min", "max") if bound in parameter}
    return {frozenset({int}): "int_uniform", frozenset({float}): "uniform"}.get(frozenset(kinds))


def _without_distribution(path: str, parameter: Mapping[str, Any]) -> Iterator[str]:
    unknown = [name for name in parameter if name not in _KEYS]
    for name in unknown:
        yield f"{path}[{name!r}]: {_unknown(name, _KEYS)}"
    wrong = [name for name in ("min", "max") if name in parameter and not is_number(parameter[name])]
    for name in wrong:
        yield f"{path}[{name!r}]: {NUMBER.requirement}, not {parameter[name]!r}"
    if unknown or wrong:
        return
    if "min" in parameter:
        bounds = " and ".join(f"{type(parameter[name]).__name__} {parameter[name]!r}" for name in ("min", "max"))
        yield f"{path}: is ambiguous: its bounds are {bounds}; write both as int or as float, or give a 'distribution'"
    else:
        yield f"{path}: defines no search space; give 'value', 'values', 'min' and 'max', or nested 'parameters'"


def _between_values(path: str, parameter: Mapping[str, Any]) -> Iterator[str]:
    if "min" in parameter and parameter["min"] >= parameter["max"]:
        yield f"{path}: 'min' {parameter['min']!r} must be below 'max' {parameter['max']!r}"
    if "probabilities" in parameter:
        values, chances = parameter["values"], parameter["probabilities"]
        if len(chances) != len(values):
            yield f"{path}['probabilities']: has {len(chances)} entries for {len(values)} values; give one for each"
        elif not math.isclose(sum(chances), 1, rel_tol=1e-5):
            yield f"{path}['probabilities']: add up to {sum(chances)!r}; they must add up to 1"


def _unknown(name: str, keys: Mapping[str, Key] | frozenset[str]) -> str:
    if name in _KEYS:
        return "does not belong here"
    import difflib

    close = difflib.get_close_matches(name, keys, n=1)
    return f"is unknown; did you mean {close[0]!r}?" if close else "is unknown"
