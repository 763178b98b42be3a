"""Figures of a benchmark: values with baselines and goals, printed for people and written as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

GoalFor = Literal["value", "ratio", "difference"]
"""The limited number: the value itself, its ratio to the baseline, or how much it is above the baseline."""


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Attributes:
        baseline: what it is compared with, in the same unit.
        goal: the largest value, ratio or difference that is good enough; `None` if there is no goal.
        ratios: the ratios of the single rounds, whose spread shows how far the figure can be trusted.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    goal: float | None = None
    goal_for: GoalFor = "value"
    ratios: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    @property
    def judged(self) -> float:
        """The number that the goal limits."""
        if self.goal_for == "value":
            return self.value
        assert self.baseline is not None
        return self.value - self.baseline if self.goal_for == "difference" else self.value / self.baseline

    @property
    def is_met(self) -> bool | None:
        return None if self.goal is None else self.judged <= self.goal

    def measured_text(self) -> str:
        return f"{self.value:.4g} {self.unit}"

    def baseline_text(self) -> str:
        return "" if self.baseline is None else f"{self.baseline:.4g} {self.unit}"

    def ratio_text(self) -> str:
        return "" if self.ratio is None else f"{self.ratio:.3f}"

    def goal_text(self) -> str:
        if self.goal is None:
            return ""
        unit = "" if self.goal_for == "ratio" else f" {self.unit}"
        return {"value": "", "ratio": "ratio ", "difference": "difference "}[self.goal_for] + f"≤ {self.goal:.3g}{unit}"

    def lines(self) -> list[str]:
        """Describe the figure for people, one line each for the value, the rounds and the goal."""
        parts = [self.measured_text()]
        if self.baseline is not None:
            parts += [f"baseline {self.baseline_text()}", f"ratio {self.ratio_text()}"]
        lines = [f"{self.name}: {', '.join(parts)}"]
        if self.ratios:
            lines.append(f"  rounds: {len(self.ratios)}, their ratios {min(self.ratios):.3f} to {max(self.ratios):.3f}")
        if self.goal is not None:
            met = "met" if self.is_met else "MISSED"
            lines.append(f"  {met}: {self.goal_text()}, it is {self.judged:.3f}")
        return lines

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.is_met}


def report(figures: Sequence[Figure], json_path: str = "") -> int:
    """Print figures, and write them as JSON where a path is given.

    Returns:
        The exit code of the benchmark: 1 if a goal is missed.
    """
    for figure in figures:
        print(*figure.lines(), sep="\n")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"load of the machine in the last 1, 5, 15 minutes: {load}; processors: {os.cpu_count()}")
    if json_path:
        Path(json_path).write_text(json.dumps([figure.as_json() for figure in figures], indent=2))
    return int(any(figure.is_met is False for figure in figures))


def read_figures(path: Path) -> list[Figure]:
    """Read what `report` wrote."""
    names = Figure.__dataclass_fields__
    return [
        Figure(**{**{name: value for name, value in each.items() if name in names}, "ratios": tuple(each["ratios"])})
        for each in json.loads(path.read_text())
    ]
