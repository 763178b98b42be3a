"""Pure functions: filters, samples, dotted paths, times, JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_devserver._documents import MISSING, lookup, lookup_config, merge_shared, plain_config
from wandb_devserver._domain.limits import check_file_name
from wandb_devserver._domain.streams import sample
from wandb_devserver._errors import UsageError
from wandb_devserver._graphql.filters import parse_filters
from wandb_devserver._json import dumps, dumps_strict, loads, strict_text
from wandb_devserver._storage.runs import StoredRun
from wandb_devserver._times import from_iso, to_iso

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


CONFIG = {"lr": 0.1, "flag": True, "net": {"depth": 3}, "a.b": 1}


def stored_run(**fields: Any) -> StoredRun:
    unset = "exit_code notes description group_name job_type sweep_name commit_hash host program repo"
    defaults = dict.fromkeys(unset.split())
    return StoredRun(
        **{
            **defaults,
            "id": 1,
            "project_id": 1,
            "entity": "local",
            "project": "p",
            "name": "r",
            "display_name": "calm-river-1",
            "state": "finished",
            "stop_requested": False,
            "config": json.dumps({key: {"value": value} for key, value in CONFIG.items()}),
            "summary": '{"loss": 0.5, "nan": NaN, "train/acc": 0.9}',
            "tags": ["a", "b"],
            "created_at": 1714557600.5,
            "heartbeat_at": 1714557700.0,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"state": "finished"}, True),
        ({"state": {"$ne": "finished"}}, False),
        ({"tags": "a"}, True),
        ({"tags": ["a", "b"]}, True),
        ({"tags": {"$in": ["x", "b"]}}, True),
        ({"tags": {"$ne": "a"}}, False),
        ({"tags": {"$regex": "^b"}}, True),
        ({"config.lr": 0.1}, True),
        ({"config.lr.value": {"$gte": 0.1, "$lt": 0.2}}, True),
        ({"config.flag": True}, True),
        ({"config.flag": 1}, False),
        ({"config.net.depth": 3}, True),
        ({"config.net": {"depth": 3}}, True),
        ({"config.a.b": 1}, True),
        ({"config.nope": None}, True),
        ({"config.nope": {"$exists": False}}, True),
        ({"config.lr": {"$exists": True}}, True),
        ({"config.lr": {"$gt": "0"}}, False),
        ({"summary_metrics.train/acc": {"$gt": 0.5}}, True),
        ({"summary_metrics.nan": {"$lt": 1}}, False),
        ({"group": None}, True),
        ({"created_at": "2024-05-01T10:00:00Z"}, True),
        ({"created_at": {"$gt": "2024-05-01T12:00:00+02:00"}}, False),
        ({"$nor": [{"state": "failed"}, {"tags": "x"}]}, True),
        ({"state": {"$not": {"$in": ["finished"]}}}, False),
        ({"state": "finished", "name": "other"}, False),
    ],
)
def test_filter_matches_like_mongodb(filters: dict[str, Any], expected: bool) -> None:
    matches = parse_filters(json.dumps(filters))

    assert matches is not None
    assert matches(stored_run()) is expected


@pytest.mark.parametrize("text", [None, "", "{}", "null"])
def test_empty_filter_parses_to_none(text: str | None) -> None:
    assert parse_filters(text) is None


@given(JSON)
def test_invalid_filter_raises_only_usage_error(value: Any) -> None:
    """Any JSON document is either a filter or a UsageError."""
    try:
        matches = parse_filters(dumps(value))
    except UsageError:
        return
    assert matches is None or matches(stored_run()) in (True, False)


@given(st.lists(st.integers(), unique=True, max_size=300), st.integers(0, 60))
def test_sample_has_the_requested_size_and_keeps_order(items: list[int], size: int) -> None:
    """A sample is all items if they are few; otherwise it has the first and the last one."""
    taken = sample(items, size)

    assert len(taken) == min(len(items), size)
    assert [item for item in items if item in set(taken)] == taken
    if 2 <= size <= len(items):
        assert (taken[0], taken[-1]) == (items[0], items[-1])


@given(JSON)
def test_strict_json_replaces_only_non_finite_numbers(value: Any) -> None:
    """No bare NaN or Infinity is left; finite values do not change."""
    text = strict_text(dumps(value))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    parsed = json.loads(text, parse_constant=refuse)
    if "NaN" not in text and "Infinity" not in text:
        assert parsed == value
    assert json.loads(dumps_strict(value), parse_constant=refuse) == parsed


def test_strict_json_keeps_strings_and_keys() -> None:
    """Only numbers become strings."""
    assert loads(strict_text('{"a": "NaN", "b": NaN, "Infinity": 1}')) == {"a": "NaN", "b": "NaN", "Infinity": 1}


@given(st.integers(0, 4102444800))
def test_time_round_trips_through_iso_8601(moment: int) -> None:
    assert from_iso(to_iso(moment)) == moment


def test_dotted_path_finds_the_value() -> None:
    """Keys may have dots; a missing value differs from None."""
    document = loads('{"a": {"b": {"c": 1}}, "x.y": {"z": 2}, "n": null}')
    assert isinstance(document, dict)

    assert lookup(document, "a.b.c") == 1
    assert lookup(document, "x.y.z") == 2
    assert lookup(document, "n") is None
    assert lookup(document, "a.nope") is MISSING
    assert lookup_config({"k": {"value": {"value": 5}}}, "k.value.value") == 5


def test_configs_of_several_writers_are_merged() -> None:
    """Entries are merged by key; `plain_config` leaves out W&B's internal ones."""
    one = {"_wandb": {"value": {"e": {"one": 1}, "t": {"1": [1]}}}, "a": {"value": 1}}
    two = {"_wandb": {"value": {"e": {"two": 2}}}, "b": {"value": None}}
    merged = merge_shared(one, two)  # type: ignore[arg-type]

    assert plain_config(merged) == {"a": 1, "b": None}
    assert merged["_wandb"] == {"value": {"e": {"one": 1, "two": 2}, "t": {"1": [1]}}}


@given(st.text(min_size=1))
def test_accepted_file_name_stays_inside_its_folder(name: str) -> None:
    """This holds for the separators of any system."""
    try:
        check_file_name(name)
    except UsageError:
        return
    parts = name.replace("\\", "/").split("/")

    assert ".." not in parts
    assert parts[0] != ""


def test_non_finite_numbers_become_strings_as_in_wandb() -> None:
    assert dumps_strict([math.nan, math.inf, -math.inf]) == '["NaN","Infinity","-Infinity"]'
