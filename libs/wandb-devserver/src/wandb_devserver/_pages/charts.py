"""SVG charts of a run's history."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wandb_devserver._json import JsonObject

WIDTH, HEIGHT = 300, 120
_MARGIN = 4
_MOST_CHARTS = 24


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric over the steps of a run."""

    key: str
    points: str
    """For the `points` of an SVG polyline in a picture of `WIDTH` by `HEIGHT`."""

    lowest: float
    highest: float
    last: float


def charts(rows: list[JsonObject]) -> list[Chart]:
    """Return a chart for each numeric metric of `rows`, in order of their names."""
    keys = sorted({key for row in rows for key in row if not key.startswith("_")})
    drawn = (_chart(key, rows) for key in keys)
    return [chart for chart in drawn if chart is not None][:_MOST_CHARTS]


def _chart(key: str, rows: list[JsonObject]) -> Chart | None:
    series = [(_number(row.get("_step")) or 0.0, y) for row in rows if (y := _number(row.get(key))) is not None]
    if not series:
        return None
    xs, ys = [x for x, _ in series], [y for _, y in series]
    across, up = _scaled(xs, WIDTH), _scaled(ys, HEIGHT)
    points = [f"{x:.1f},{HEIGHT - y:.1f}" for x, y in zip(across, up, strict=True)]
    if len(points) == 1:
        # A line of one point would not be seen.
        points = [f"{_MARGIN},{HEIGHT / 2}", f"{WIDTH - _MARGIN},{HEIGHT / 2}"]
    return Chart(key, " ".join(points), min(ys), max(ys), ys[-1])


def _scaled(values: list[float], length: int) -> list[float]:
    lowest, highest = min(values), max(values)
    # Halved, because the distance of two finite numbers need not be finite.
    span = highest / 2 - lowest / 2
    shares = [(value / 2 - lowest / 2) / span if span else 0.5 for value in values]
    return [_MARGIN + share * (length - 2 * _MARGIN) for share in shares]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
