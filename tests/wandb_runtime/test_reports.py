"""The page of a section in a Flyte report: escaping, limits, and the option `report`."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from wandb_artifacts import InvalidValueError
from wandb_runtime.config.report import ReportRequest, check_report
from wandb_runtime.report.page import MAX_SECTION, render_library, render_section
from wandb_runtime.report.section import (
    BarChart,
    LineChart,
    ParallelChart,
    Section,
    Table,
    finite,
    text_of,
    thinned,
    value_table,
)

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "'onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "$NAV_HTML ${BODY_HTML}",
    "a&lt;b & \u2028 \0",
]


def section_of(text: str) -> Section:
    """Return a section that has a text in every place."""
    return Section(
        title=text,
        url="https://wandb.test/e/p/runs/r",
        state=text,
        facts=((text, text),),
        notes=(text,),
        charts=(
            LineChart(text, ((0, 1.0), (1, None))),
            BarChart(text, ((text, 1.0),), is_maximized=True),
            ParallelChart(text, (text, "loss"), ((text, (text, 1.0)),)),
        ),
        tables=(Table(text, (text,), ((text,),)),),
    )


class Tags(HTMLParser):
    """The tags of a page, with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))


def chart_data(page: str) -> list[Any]:
    """Return the data of the charts on a page."""
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_escaped_everywhere(text: str) -> None:
    """The page has the tags of its template only, and the charts get the text as it is."""
    page = render_section(section_of(text))

    assert Tags(page).found == Tags(render_section(section_of("harmless"))).found
    assert [data["title"] for data in chart_data(page)] == [text] * 3


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//elsewhere", None])
def test_only_web_pages_are_linked(url: str | None) -> None:
    section = Section("run", url, "finished")

    assert "<a " not in render_section(section)
    assert '<a href="https://w.test/r"' in render_section(Section("run", "https://w.test/r", "finished"))


@pytest.mark.parametrize("character", ["<", "é", "\0", "𝄞"])
def test_section_is_at_most_half_a_megabyte(character: str) -> None:
    """However long its texts are, and however many; what is left out is stated."""
    text = character * 10_000
    charts = [LineChart(f"{text}{index}", tuple((step, step / 3) for step in range(5000))) for index in range(12)]
    table = value_table("Config", {f"{index}{text}": text for index in range(3000)})
    page = render_section(Section(text, None, text, ((text, text),), (text,), tuple(charts), (table, table)))

    assert len(page.encode()) <= MAX_SECTION
    assert "more rows are in W&amp;B" in page
    assert len(chart_data(page)) == 12


def test_library_ends_no_script_and_loads_nothing() -> None:
    """The document contains it as it is."""
    library = render_library()

    assert library.count("</script") == 2
    assert library.count("</style") == 1
    assert not re.search(r"@import|url\(['\"]?http|\bfetch\(|XMLHttpRequest|\bimport\(", library)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (0.5, 0.5), (True, None), ("1", None), (None, None), (float("nan"), None), (10**400, None)],
)
def test_only_finite_numbers_are_drawn(value: object, expected: float | None) -> None:
    assert finite(value) == expected


def test_thinned_values_keep_the_last_one() -> None:
    assert thinned([1, 2, 3], 3) == [1, 2, 3]
    assert list(thinned(list(range(10)), 4)) == [1, 4, 6, 9]
    assert list(thinned([1, 2], 0)) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (0.1 + 0.2, "0.3"), (3, "3"), (None, "null"), ([1, "é"], '[1, "é"]'), (True, "true")],
)
def test_values_are_readable(value: object, text: str) -> None:
    assert text_of(value) == text


def test_nested_values_are_rows_without_internal_ones() -> None:
    table = value_table("Config", {"b": {"c": {"d": 1}}, "a": {}, "_wandb": {"cli": 1}})

    assert table.rows == (("a", "{}"), ("b.c.d", "1"))


@pytest.mark.parametrize(
    ("report", "has_report", "expected"),
    [
        (None, False, None),
        (None, True, ReportRequest(None, is_uploaded_by_flyte=True)),
        (True, False, ReportRequest(None, is_uploaded_by_flyte=False)),
        (False, True, None),
        (["loss"], False, ReportRequest(("loss",), is_uploaded_by_flyte=False)),
    ],
)
def test_report_is_on_where_the_task_has_one(report: object, has_report: bool, expected: object) -> None:
    assert ReportRequest.of(report, has_report=has_report) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("loss", "list of metrics"),
        (1, "list of metrics"),
        ([], "names no metric"),
        (["a", 1], "must be a string"),
        ([str(number) for number in range(13)], "at most 12"),
    ],
)
def test_invalid_option_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason):
        check_report("report", value)


def test_names_are_drawn_once() -> None:
    assert check_report("report", ("b", "a", "b")) == ["b", "a"]
