"""Reduction of metric series."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_devserver._domain.importance import importance
from wandb_devserver._storage.points import reduce

if TYPE_CHECKING:
    from wandb_devserver._json import Json
    from wandb_devserver._storage.points import Point

    from tests.wandb_devserver.support import RawClient

LONG = 6000
SPIKE = 4321


def log(raw: RawClient, rows: int, batch: int = 700, first: int = 0) -> None:
    for start in range(first, rows, batch):
        raw.stream_rows(*(row(step) for step in range(start, min(start + batch, rows))), offset=start)


def row(step: int) -> dict[str, object]:
    rare = {"rare": step} if step % 500 == 0 else {}
    burst = {"burst": step} if 1000 <= step < 1100 else {}
    return {
        "_step": step,
        "_timestamp": 1e9 + step,
        "loss": 100.0 if step == SPIKE else math.sin(step),
        **rare,
        **burst,
    }


def series(raw: RawClient, *keys: str, **parameters: object) -> Any:
    response = raw.pages.get("/-/data/series/local/p", params={"run": "r", "key": list(keys), **parameters})  # type: ignore[dict-item]
    return response.json()["r"]


def test_long_metric_is_reduced_and_keeps_its_extremes(raw: RawClient) -> None:
    """A spike of one row is seen among thousands; first and last are kept."""
    raw.open_run("r")
    log(raw, LONG)
    found = series(raw, "loss")["loss"]

    assert found["count"] == LONG
    assert len(found["values"]) <= 800
    assert (SPIKE, 100.0) in zip(found["steps"], found["values"], strict=True)
    assert (found["steps"][0], found["steps"][-1]) == (0, LONG - 1)
    assert found["steps"] == sorted(found["steps"])
    assert found["times"][-1] == 1e9 + LONG - 1


@pytest.mark.parametrize(("key", "steps"), [("rare", range(0, LONG, 500)), ("burst", range(1000, 1100))])
def test_rare_metric_shows_all_its_points(raw: RawClient, key: str, steps: range) -> None:
    """Rows are split by metric first, whether its values are spread or together."""
    raw.open_run("r")
    log(raw, LONG)

    assert series(raw, key, "loss")[key]["steps"] == list(steps)


def test_zoom_shows_every_point(raw: RawClient) -> None:
    """A range of steps is read line by line."""
    raw.open_run("r")
    log(raw, LONG)

    assert series(raw, "loss", **{"from": 3000, "to": 3500})["loss"]["steps"] == list(range(3000, 3501))


def test_series_follow_resent_rows_and_new_attempts(raw: RawClient) -> None:
    """The index of points is updated with the rows."""
    raw.open_run("r")
    log(raw, 3000)
    log(raw, LONG, batch=999, first=2000)
    assert series(raw, "loss")["loss"]["count"] == LONG
    raw.stream_rows({"_step": 0, "other": 1.0})
    run = raw.pages.get("/-/data/run/local/p/r").json()

    assert run["metrics"] == {"other": 1}


def test_system_metrics_are_series_too(raw: RawClient) -> None:
    """They have time stamps, not steps."""
    raw.open_run("r")
    lines = [json.dumps({"system.cpu": number, "_timestamp": 1e9 + number}) for number in range(300)]
    raw.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": lines}}})
    found = series(raw, "system.cpu", stream="events")["system.cpu"]

    assert found["values"] == list(range(300))
    assert found["times"][1] == 1e9 + 1


def test_non_finite_values_are_left_out(raw: RawClient) -> None:
    """They have no place on an axis."""
    raw.open_run("r")
    raw.stream_rows(
        {"_step": 0, "loss": 1.0},
        {"_step": 1, "loss": math.nan},
        {"_step": 2, "loss": math.inf},
        {"_step": 3, "loss": True},
    )

    assert series(raw, "loss")["loss"]["steps"] == [0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(2, 40))
def test_reduce_keeps_bounds_and_order(values: list[float], size: int) -> None:
    """At most `size` points, in order, the ends and (from four points on) the extremes among them."""
    points: list[Point] = [(float(step), math.nan, value) for step, value in enumerate(values)]
    kept = reduce(points, size)

    assert len(kept) <= max(size, 4)
    assert kept == sorted(kept, key=lambda point: point[0])
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {min(values), max(values)} <= {value for _, _, value in kept}


@pytest.mark.parametrize(
    ("values", "strength"),
    [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 1.0), (["a", "a", "b", "b"], math.sqrt(0.8)), ([1, 1, 1, 1], None)],
)
def test_importance_measures_the_effect_of_a_parameter(values: list[Json], strength: float | None) -> None:
    """Numbers are compared by rank, other values by the variance between groups; a constant has no effect."""
    found = importance(values, [0.1, 0.2, 0.5, 0.9])

    assert (found.strength if found else None) == (pytest.approx(strength) if strength else None)
