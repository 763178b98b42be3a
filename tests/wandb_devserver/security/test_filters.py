"""Expensive filters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from wandb_devserver._graphql import filters

from tests.wandb_devserver.security.support import running_command
from tests.wandb_devserver.support import RawClient

if TYPE_CHECKING:
    from pathlib import Path

RUNS = 'query Runs($f: JSONString) { project(name: "p") { runs(filters: $f) { edges { node { name } } } } }'


def find(raw: RawClient, **conditions: object) -> Any:
    return raw.graphql(RUNS, f=json.dumps(conditions)).json()


@pytest.mark.slow
def test_regex_does_not_backtrack(tmp_path: Path) -> None:
    """Each pattern keeps Python's `re` busy for hours, and every thread of its process waiting.

    So the server has a separate process: the timeout of the client ends the test.
    """
    with running_command(tmp_path) as server, RawClient(server) as raw:  # type: ignore[arg-type]
        raw.open_run("r", displayName="a" * 60 + "!")

        for pattern in ("(a+)+$", "^(a|a)*$", "(.*a){20}$"):
            assert find(raw, display_name={"$regex": pattern})["data"]["project"]["runs"]["edges"] == []


def test_regex_matches_names_and_tags(raw: RawClient) -> None:
    raw.open_run("r", displayName="Größe 12", tags=["one", "two"])

    for conditions in ({"display_name": {"$regex": "^Gr\\w*.*\\d+$"}}, {"tags": {"$regex": "t.o"}}):
        assert len(find(raw, **conditions)["data"]["project"]["runs"]["edges"]) == 1


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(a", "a" * 2000, 1, None, {}])
def test_unsupported_regex_is_refused(raw: RawClient, pattern: object) -> None:
    raw.open_run("r")

    assert "$regex" in find(raw, name={"$regex": pattern})["errors"][0]["message"]


def test_slow_filter_is_stopped(raw: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    raw.open_run("r")
    monkeypatch.setattr(filters, "TIME_LIMIT", -1.0)

    assert "stopped" in find(raw, name="r")["errors"][0]["message"]


def test_long_filter_key_is_refused(raw: RawClient) -> None:
    raw.open_run("r")

    assert "characters" in find(raw, **{"config." + "a." * 100_000: 1})["errors"][0]["message"]
