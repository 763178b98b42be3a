"""The content of a report about one run or sweep, as plain values that are limited in size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

MAX_DEPTH = 5


@dataclass(frozen=True)
class Limits:
    """Upper limits for the parts of a section."""

    rows: int = 200
    text: int = 300
    points: int = 300

    def halved(self) -> Limits:
        """Return smaller limits."""
        return Limits(self.rows // 2, self.text // 2, self.points // 2)

    def shorten(self, text: str) -> str:
        """Return a text that is not too long."""
        return text if len(text) <= self.text else f"{text[: self.text]}…"


class Chart(Protocol):
    """A chart: the charting library draws it from its data."""

    @property
    def kind(self) -> str:
        """The function of `report.js` that draws it."""

    @property
    def title(self) -> str:
        """The heading."""

    @property
    def description(self) -> str:
        """The text for a reader who does not see the chart."""

    def data(self) -> dict[str, Any]:
        """Return the values to draw, as JSON values."""

    def limited(self, limits: Limits) -> Chart:
        """Return the chart with fewer and shorter values."""


@dataclass(frozen=True)
class LineChart:
    """A metric over steps."""

    title: str
    points: tuple[tuple[float, float | None], ...]
    """Steps and values; None where the value is not a finite number."""
    x_name: str = "Step"
    kind: str = "line"

    @property
    def description(self) -> str:
        """The text for a reader who does not see the chart."""
        return f"{self.title}: {len(self.points)} points"

    def data(self) -> dict[str, Any]:
        """Return the values to draw."""
        return {"title": self.title, "xName": self.x_name, "points": self.points}

    def limited(self, limits: Limits) -> LineChart:
        """Return the chart with fewer points, evenly chosen; the last one stays."""
        return replace(self, title=limits.shorten(self.title), points=tuple(thinned(self.points, limits.points)))


@dataclass(frozen=True)
class BarChart:
    """A metric over trials: a bar for each, and a line for the best value so far."""

    title: str
    bars: tuple[tuple[str, float | None], ...]
    """Names and values, in the order of the trials."""
    is_maximized: bool | None = None
    """Whether greater values are better; None if the metric is not optimized."""
    kind: str = "bar"

    @property
    def description(self) -> str:
        """The text for a reader who does not see the chart."""
        return f"{self.title} of {len(self.bars)} trials"

    def data(self) -> dict[str, Any]:
        """Return the values to draw."""
        return {"title": self.title, "bars": self.bars, "best": None if self.is_maximized is None else self._best()}

    def _best(self) -> list[float | None]:
        choose = max if self.is_maximized else min
        best: list[float | None] = []
        for _, value in self.bars:
            known = [number for number in (value, best[-1] if best else None) if number is not None]
            best.append(choose(known) if known else None)
        return best

    def limited(self, limits: Limits) -> BarChart:
        """Return the chart with the last bars, and shorter names."""
        last = self.bars[-limits.points :] if limits.points else ()
        bars = tuple((limits.shorten(name), value) for name, value in last)
        return replace(self, title=limits.shorten(self.title), bars=bars)


@dataclass(frozen=True)
class ParallelChart:
    """Parallel coordinates: a line for each trial through its parameters to its metric."""

    title: str
    axes: tuple[str, ...]
    """The parameters, and the metric as the last one."""
    lines: tuple[tuple[str, tuple[float | str | None, ...]], ...]
    """Names of trials, and their values for the axes."""
    kind: str = "parallel"

    @property
    def description(self) -> str:
        """The text for a reader who does not see the chart."""
        return f"{self.title} of {len(self.lines)} trials: {', '.join(self.axes)}"

    def data(self) -> dict[str, Any]:
        """Return the values to draw."""
        return {"title": self.title, "axes": self.axes, "lines": self.lines}

    def limited(self, limits: Limits) -> ParallelChart:
        """Return the chart with the first lines, and shorter texts."""

        def short(value: float | str | None) -> float | str | None:
            return limits.shorten(value) if isinstance(value, str) else value

        lines = tuple((limits.shorten(name), tuple(map(short, values))) for name, values in self.lines[: limits.points])
        return replace(self, axes=tuple(map(limits.shorten, self.axes)), lines=lines)


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    omitted: int = 0
    """The number of rows that there is no room for."""

    def limited(self, limits: Limits) -> Table:
        """Return the table with the first rows, and shorter texts."""
        rows = tuple(tuple(map(limits.shorten, row)) for row in self.rows[: limits.rows])
        columns = tuple(map(limits.shorten, self.columns))
        return replace(self, columns=columns, rows=rows, omitted=self.omitted + len(self.rows) - len(rows))


@dataclass(frozen=True)
class Section:
    """Everything that a report shows of a run or sweep."""

    title: str
    url: str | None
    """Its page in the W&B app."""
    state: str
    facts: tuple[tuple[str, str], ...] = ()
    """Labels and texts."""
    notes: tuple[str, ...] = ()
    """Sentences about what is missing, and why."""
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()

    def limited(self, limits: Limits) -> Section:
        """Return the section with fewer and shorter parts."""
        return replace(
            self,
            title=limits.shorten(self.title),
            state=limits.shorten(self.state),
            facts=tuple((label, limits.shorten(text)) for label, text in self.facts),
            notes=tuple(map(limits.shorten, self.notes)),
            charts=tuple(chart.limited(limits) for chart in self.charts),
            tables=tuple(table.limited(limits) for table in self.tables),
        )


def thinned(values: Sequence[Any], limit: int) -> Sequence[Any]:
    """Return so many of the values, evenly chosen, with the last one."""
    if len(values) <= limit:
        return values
    return [values[(index + 1) * len(values) // limit - 1] for index in range(limit)]


def finite(value: object) -> float | None:
    """Return a finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def value_table(title: str, values: Mapping[str, Any]) -> Table:
    """Return a table of keys and values: nested keys are joined by dots, and W&B's internal ones left out."""
    shown = {key: value for key, value in values.items() if not str(key).startswith("_")}
    rows = sorted((key, text_of(value)) for key, value in _flat(shown))
    return Table(title, ("Key", "Value"), tuple(rows))


def _flat(values: Mapping[Any, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth < MAX_DEPTH:
            yield from _flat(value, f"{name}.", depth + 1)
        else:
            yield name, value


def text_of(value: object) -> str:
    """Return a value as a reader of a table wants it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False, default=str)
