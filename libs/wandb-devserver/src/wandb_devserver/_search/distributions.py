"""Distributions of sweep parameters, by W&B's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import random

    from wandb_devserver._json import Json

    Numbers: TypeAlias = Mapping[str, int | float]
    Draw: TypeAlias = Callable[[random.Random, Numbers], float]

LARGEST_EXPONENT = 709.0
"""The largest whole number whose exponential is finite."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How to draw a number, and by which numbers it is described."""

    draw: Draw
    required: tuple[str, ...] = ()
    defaults: tuple[tuple[str, float], ...] = ()

    quantized: bool = False
    """Whether the number is rounded to a multiple of `q`, which is 1 unless given."""

    exponents: bool = False
    """Whether `min` and `max` are exponents of e, which surprises nearly everybody."""

    positive: bool = False
    """Whether `min` must be above 0."""

    whole: bool = False
    """Whether `min` and `max` must be whole numbers."""

    @property
    def options(self) -> tuple[str, ...]:
        return (*self.required, *(name for name, _ in self.defaults), *(("q",) if self.quantized else ()))

    def sample(self, source: random.Random, given: Numbers) -> Json:
        numbers = {**dict(self.defaults), **given}
        if self.whole:
            return source.randint(int(numbers["min"]), int(numbers["max"]))
        drawn = self.draw(source, numbers)
        return quantize(drawn, numbers.get("q", 1)) if self.quantized else drawn


def quantize(number: float, step: float) -> int | float:
    """Return the multiple of `step` next to `number`; a whole number when `step` is one."""
    return round(number / step) * step


def _uniform(source: random.Random, given: Numbers) -> float:
    return source.uniform(given["min"], given["max"])


def _log_uniform(source: random.Random, given: Numbers) -> float:
    return math.exp(_uniform(source, given))


def _inv_log_uniform(source: random.Random, given: Numbers) -> float:
    return math.exp(-_uniform(source, given))


def _log_uniform_values(source: random.Random, given: Numbers) -> float:
    drawn = math.exp(source.uniform(math.log(given["min"]), math.log(given["max"])))
    # Rounding may lead just beyond a bound.
    return min(max(drawn, given["min"]), given["max"])


def _normal(source: random.Random, given: Numbers) -> float:
    return source.gauss(given["mu"], given["sigma"])


def _log_normal(source: random.Random, given: Numbers) -> float:
    return math.exp(min(_normal(source, given), LARGEST_EXPONENT))


def _beta(source: random.Random, given: Numbers) -> float:
    return source.betavariate(given["a"], given["b"])


_BOUNDS = ("min", "max")
_BELL = (("mu", 0.0), ("sigma", 1.0))
_SHAPES = (("a", 1.0), ("b", 1.0))

DISTRIBUTIONS: dict[str, Distribution] = {
    "int_uniform": Distribution(_uniform, _BOUNDS, whole=True),
    "uniform": Distribution(_uniform, _BOUNDS),
    "q_uniform": Distribution(_uniform, _BOUNDS, quantized=True),
    "log_uniform": Distribution(_log_uniform, _BOUNDS, exponents=True),
    "q_log_uniform": Distribution(_log_uniform, _BOUNDS, quantized=True, exponents=True),
    "inv_log_uniform": Distribution(_inv_log_uniform, _BOUNDS, exponents=True),
    "log_uniform_values": Distribution(_log_uniform_values, _BOUNDS, positive=True),
    "q_log_uniform_values": Distribution(_log_uniform_values, _BOUNDS, quantized=True, positive=True),
    # log(1/x) is uniform where log(x) is.
    "inv_log_uniform_values": Distribution(_log_uniform_values, _BOUNDS, positive=True),
    "normal": Distribution(_normal, defaults=_BELL),
    "q_normal": Distribution(_normal, defaults=_BELL, quantized=True),
    "log_normal": Distribution(_log_normal, defaults=_BELL),
    "q_log_normal": Distribution(_log_normal, defaults=_BELL, quantized=True),
    "beta": Distribution(_beta, defaults=_SHAPES),
    "q_beta": Distribution(_beta, defaults=_SHAPES, quantized=True),
}
