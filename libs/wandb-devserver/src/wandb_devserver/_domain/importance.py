"""Importance of a sweep's parameters: how strongly each one goes along with the metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._json import dumps, is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wandb_devserver._json import Json

_FEWEST_TRIALS = 3


@dataclass(frozen=True, slots=True)
class Importance:
    """The strength of a relation, 0 to 1, and the sign of the correlation where the parameter is a number."""

    strength: float
    correlation: float | None


def importance(values: Sequence[Json], metric: Sequence[float]) -> Importance | None:
    """Correlate a parameter's values with the metric of the same trials; None where nothing can be concluded.

    Numbers: Spearman's rank correlation. Other values: the correlation ratio, which is the share of the metric's
    spread that lies between the values.
    """
    if len(metric) < _FEWEST_TRIALS or len({dumps(value) for value in values}) < 2 or len(set(metric)) < 2:
        return None
    numbers = [value for value in values if is_number(value)]
    if len(numbers) == len(values):
        correlation = _pearson(_ranks(numbers), _ranks(metric))
        return Importance(abs(correlation), correlation)
    return Importance(_correlation_ratio([dumps(value) for value in values], metric), None)


def _pearson(first: Sequence[float], second: Sequence[float]) -> float:
    mean_first, mean_second = sum(first) / len(first), sum(second) / len(second)
    deviations = [(a - mean_first, b - mean_second) for a, b in zip(first, second, strict=True)]
    spread = math.sqrt(sum(a * a for a, _ in deviations) * sum(b * b for _, b in deviations))
    return sum(a * b for a, b in deviations) / spread if spread else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value; equal values share the mean of their ranks."""
    ordered = sorted(values)
    first = {value: index for index, value in reversed(list(enumerate(ordered)))}
    last = {value: index for index, value in enumerate(ordered)}
    return [(first[value] + last[value]) / 2 for value in values]


def _correlation_ratio(groups: list[str], metric: Sequence[float]) -> float:
    members: dict[str, list[float]] = {}
    for group, value in zip(groups, _ranks(metric), strict=True):
        members.setdefault(group, []).append(value)
    mean = sum(sum(values) for values in members.values()) / len(metric)
    between = sum(len(values) * (sum(values) / len(values) - mean) ** 2 for values in members.values())
    total = sum((value - mean) ** 2 for values in members.values() for value in values)
    return math.sqrt(between / total) if total else 0.0
