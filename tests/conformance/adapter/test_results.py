"""The summary of a conformance run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.conformance.results import Result, by_cause, by_directory, cause_of, combine, format_table, read_results

if TYPE_CHECKING:
    from pathlib import Path

SKIP = "[gw0] linux\n('tests/system_tests/test_core/test_git.py', 12, 'Skipped: needs git')"
CHAINED = """\
tests/a.py:3: in first
    raise ValueError
E   ValueError: first

During handling of the above exception, another exception occurred:
tests/a.py:5: in second
    raise KeyError
E   KeyError: 'second'
E   of two lines
"""


def phase(when: str, outcome: str = "passed", **more: Any) -> dict[str, Any]:
    return {"when": when, "outcome": outcome, "xfail": False, "seconds": 1.0, "text": "E   boom", **more}


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        ([phase("setup"), phase("call"), phase("teardown")], "passed"),
        ([phase("setup"), phase("call", "failed"), phase("teardown")], "failed"),
        ([phase("setup", "failed"), phase("teardown")], "error"),
        ([phase("setup"), phase("call"), phase("teardown", "failed")], "error"),
        ([phase("setup", "skipped", text=SKIP), phase("teardown")], "skipped"),
        ([phase("setup"), phase("call", "skipped", xfail=True), phase("teardown")], "xfailed"),
        ([phase("setup"), phase("call", xfail=True), phase("teardown")], "xpassed"),
        ([phase("collect", "failed")], "error"),
    ],
)
def test_outcome_follows_from_all_phases(phases: list[dict[str, Any]], outcome: str) -> None:
    assert combine(phases).outcome == outcome


def test_cause_is_the_last_error_of_a_chain() -> None:
    assert cause_of(CHAINED) == "KeyError: 'second' of two lines"


def test_cause_of_a_skip_is_its_reason() -> None:
    assert cause_of(SKIP) == "needs git"


def test_causes_do_not_differ_by_user() -> None:
    first, second = (cause_of(f"E   no run user_gw{worker}-{digit * 40}/p/r") for worker, digit in ((0, "a"), (1, "b")))

    assert first == second == "no run <user>/p/r"


def test_results_are_read_by_test(tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    phases = [phase("setup"), phase("call", "failed", text=CHAINED), phase("teardown")]
    report.write_text("".join(json.dumps({"id": "tests/a.py::test_a", **each}) + "\n" for each in phases))

    assert read_results(report) == {"tests/a.py::test_a": Result("failed", "KeyError: 'second' of two lines", 3.0)}


def test_table_counts_outcomes_by_directory() -> None:
    results = {
        "tests/system_tests/test_core/test_git.py::test_a": Result("passed", "", 1.0),
        "tests/system_tests/test_core/test_git.py::test_b": Result("failed", "boom", 1.0),
        "tests/system_tests/test_plot.py::test_c": Result("skipped", "needs git", 1.0),
    }

    table = by_directory(results)

    assert table == {"test_core": {"passed": 1, "failed": 1}, "test_plot.py": {"skipped": 1}}
    assert format_table(table).splitlines()[-1].split() == ["in", "all", "1", "1", "0", "1"]


def test_most_frequent_cause_is_first() -> None:
    results = {name: Result("failed", cause, 1.0) for name, cause in (("a", "rare"), ("b", "often"), ("c", "often"))}

    assert list(by_cause(results, ("failed",)).items()) == [("often", ["b", "c"]), ("rare", ["a"])]
