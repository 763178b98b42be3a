"""Parameters of a sweep: parsed from the configuration, sampled at random, enumerated as a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_devserver._json import is_number
from wandb_devserver._search.distributions import DISTRIBUTIONS, LARGEST_EXPONENT

if TYPE_CHECKING:
    import random

    from wandb_devserver._json import Json, JsonObject
    from wandb_devserver._search.problems import Problems

CONSTANT = "constant"
CATEGORICAL = "categorical"
CATEGORICAL_W_PROBABILITIES = "categorical_w_probabilities"
_LISTED = (CONSTANT, CATEGORICAL, CATEGORICAL_W_PROBABILITIES)
_LISTED_OPTIONS = {
    CONSTANT: ("value",),
    CATEGORICAL: ("values",),
    CATEGORICAL_W_PROBABILITIES: ("values", "probabilities"),
}
_IN_A_GRID = (CONSTANT, CATEGORICAL, "int_uniform", "q_uniform")
_PROBABILITY_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of a trial, however deep in its configuration it lies."""

    path: tuple[str, ...]
    """The keys that lead to it in the trial's configuration."""

    distribution: str

    values: list[Json] = field(default_factory=list)
    """The values to choose from; of a constant, the one value."""

    probabilities: list[float] | None = None

    numbers: dict[str, int | float] = field(default_factory=dict)
    """The numbers of the distribution, such as `min` and `max`."""

    @property
    def fits_a_grid(self) -> bool:
        return self.distribution in _IN_A_GRID

    def draw(self, source: random.Random) -> Json:
        if self.distribution in _LISTED:
            return source.choices(self.values, self.probabilities)[0]
        return DISTRIBUTIONS[self.distribution].sample(source, self.numbers)

    def steps(self) -> list[Json]:
        """Return the values it has in a grid.

        As at W&B, a `q_uniform` ends before `max`.
        """
        if self.distribution in _LISTED:
            return self.values
        low, high, step = self.numbers["min"], self.numbers["max"], self.numbers.get("q", 1)
        if self.distribution == "int_uniform":
            return list(range(int(low), int(high) + 1))
        return [low + step * index for index in range(math.ceil((high - low) / step))]


def nest(parameters: tuple[Parameter, ...], values: list[Json]) -> JsonObject:
    """Return the configuration of a trial: each value where its parameter's path leads."""
    config: JsonObject = {}
    for parameter, value in zip(parameters, values, strict=True):
        place = config
        for key in parameter.path[:-1]:
            inner = place.setdefault(key, {})
            assert isinstance(inner, dict)
            place = inner
        place[parameter.path[-1]] = value
    return config


def read_parameters(
    section: Json, problems: Problems, *, at: str = "parameters", path: tuple[str, ...] = ()
) -> tuple[Parameter, ...]:
    """Read a `parameters` section, sorted by name as W&B does; what is wrong with it goes into `problems`."""
    if not isinstance(section, dict) or not section:
        problems.error(at, "name at least one parameter, such as {'lr': {'min': 0.001, 'max': 0.1}}")
        return ()
    found: list[Parameter] = []
    for key, entry in sorted(section.items()):
        where = f"{at}.{key}"
        if not isinstance(entry, dict):
            problems.error(where, f"use an object such as {{'value': {entry!r}}}, not {entry!r}")
        elif "parameters" in entry:
            problems.unknown_keys(where, entry, ("parameters",))
            found += read_parameters(entry["parameters"], problems, at=f"{where}.parameters", path=(*path, key))
        else:
            parameter = _read_parameter(entry, problems, where, (*path, key))
            found += [parameter] if parameter else []
    return tuple(found)


def _read_parameter(entry: JsonObject, problems: Problems, at: str, path: tuple[str, ...]) -> Parameter | None:
    name = entry["distribution"] if "distribution" in entry else _implied(entry)
    if "distribution" not in entry and name == CATEGORICAL and "probabilities" in entry:
        name = CATEGORICAL_W_PROBABILITIES
    if name in _LISTED:
        assert isinstance(name, str)
        problems.unknown_keys(at, entry, ("distribution", *_LISTED_OPTIONS[name]))
        return _read_listed(name, entry, problems, at, path)
    if isinstance(name, str) and name in DISTRIBUTIONS:
        problems.unknown_keys(at, entry, ("distribution", *DISTRIBUTIONS[name].options))
        return _read_numeric(name, entry, problems, at, path)
    if "distribution" in entry:
        known = ", ".join((*_LISTED, *DISTRIBUTIONS))
        problems.error(f"{at}.distribution", f"unknown distribution {name!r}: use one of {known}")
    else:
        problems.error(at, "use 'value', 'values', 'min' and 'max', or name a 'distribution'")
    return None


def _implied(entry: JsonObject) -> str | None:
    if "values" in entry:
        return CATEGORICAL
    if "value" in entry:
        return CONSTANT
    bounds = [entry.get("min"), entry.get("max")]
    if None in bounds:
        return None
    return "int_uniform" if all(isinstance(bound, int) for bound in bounds) else "uniform"


def _read_listed(name: str, entry: JsonObject, problems: Problems, at: str, path: tuple[str, ...]) -> Parameter | None:
    if name == CONSTANT:
        if "value" in entry:
            return Parameter(path, name, [entry["value"]])
        problems.error(at, "distribution 'constant' needs 'value'")
        return None
    values = entry.get("values")
    if not isinstance(values, list) or not values:
        problems.error(f"{at}.values", f"use a list of at least one value, not {values!r}")
        return None
    if name == CATEGORICAL:
        return Parameter(path, name, values)
    weights = _probabilities(entry.get("probabilities"), len(values), problems, f"{at}.probabilities")
    return Parameter(path, name, values, weights) if weights else None


def _probabilities(given: Json, count: int, problems: Problems, at: str) -> list[float] | None:
    numbers = [item for item in given if is_number(item) and item >= 0] if isinstance(given, list) else []
    if not isinstance(given, list) or len(numbers) != len(given) or len(given) != count:
        problems.error(at, f"use a list of {count} numbers of 0 or more, one for each value, not {given!r}")
        return None
    if abs(sum(numbers) - 1) > _PROBABILITY_TOLERANCE:
        problems.error(at, f"the numbers must add up to 1, not {sum(numbers)!r}")
        return None
    return numbers


def _read_numeric(name: str, entry: JsonObject, problems: Problems, at: str, path: tuple[str, ...]) -> Parameter | None:
    distribution, before = DISTRIBUTIONS[name], len(problems.errors)
    numbers: dict[str, int | float] = {}
    for option in distribution.options:
        value = entry.get(option)
        if value is None and option in distribution.required:
            problems.error(at, f"distribution {name!r} needs {option!r}")
        elif is_number(value):
            numbers[option] = value
        elif value is not None:
            problems.error(f"{at}.{option}", f"use a finite number, not {value!r}")
    if len(problems.errors) == before:
        _check_numbers(name, numbers, problems, at)
    return Parameter(path, name, numbers=numbers) if len(problems.errors) == before else None


def _check_numbers(name: str, numbers: dict[str, int | float], problems: Problems, at: str) -> None:
    distribution = DISTRIBUTIONS[name]
    if "min" in numbers and numbers["min"] >= numbers["max"]:
        problems.error(at, f"'min' is {numbers['min']!r}, not below 'max', which is {numbers['max']!r}")
    if distribution.whole and not all(float(numbers[bound]).is_integer() for bound in ("min", "max")):
        problems.error(at, f"distribution {name!r} takes whole numbers as 'min' and 'max'")
    if distribution.positive and numbers["min"] <= 0:
        problems.error(f"{at}.min", f"use a number above 0, not {numbers['min']!r}: its logarithm is taken")
    if distribution.exponents:
        problems.warn(at, f"'min' and 'max' of {name!r} are exponents of e; {name}_values takes the values themselves")
        if max(abs(numbers["min"]), abs(numbers["max"])) > LARGEST_EXPONENT:
            problems.error(at, f"'min' and 'max' are exponents of e, from -{LARGEST_EXPONENT} to {LARGEST_EXPONENT}")
    if numbers.get("q", 1) <= 0:
        problems.error(f"{at}.q", f"use a number above 0, not {numbers['q']!r}")
    if numbers.get("sigma", 1) < 0:
        problems.error(f"{at}.sigma", f"use a number of 0 or more, not {numbers['sigma']!r}")
    for shape in ("a", "b"):
        if numbers.get(shape, 1) <= 0:
            problems.error(f"{at}.{shape}", f"use a number above 0, not {numbers[shape]!r}")
