"""Export of a history, from a source that behaves like W&B's server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import subprocess
import sys
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wandb_artifacts import InvalidValueError, ServerAnswerError
from wandb_artifacts._client.bodies import ResponseTooLargeError
from wandb_artifacts._client.options import use_options
from wandb_artifacts._history.export import IncompleteHistoryError, check_format, export_history, history_file
from wandb_artifacts._history.rows import are_strict, strict_rows
from wandb_artifacts._history.scan import HistorySource, scan

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Stat
    from wandb_artifacts._download.results import HistoryFormat

FORMATS: tuple[HistoryFormat, ...] = ("json", "jsonl", "parquet")


@dataclass
class Source:
    """Rows by step. A range with more rows than requested is sampled evenly."""

    steps: list[int]
    texts: list[str] | None = None
    line_count: int | None = -1
    last_step: int = -2
    row_size: int = 30
    most: int | None = None
    """The maximum number of rows per response."""
    requests: list[tuple[int, int, int]] = field(default_factory=list)
    given: int = 0
    now: int = 0
    most_at_once: int = 0
    is_busy: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        texts = self.texts or [f'{{"_step": {step}, "n": {n}}}' for n, step in enumerate(self.steps)]
        self.rows = sorted(zip(self.steps, texts, strict=True), key=lambda row: row[0])
        if self.line_count == -1:
            self.line_count = len(self.rows)
        if self.last_step == -2:
            self.last_step = max(self.steps, default=-1)

    async def page(self, first: int, end: int, samples: int) -> list[str]:
        assert 0 <= first < end < 2**63
        assert 0 < samples < 2**31
        self.requests.append((first, end, samples))
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        try:
            # Later requests get earlier responses.
            for _ in range(7 - len(self.requests) % 7):
                await asyncio.sleep(0)
        finally:
            self.now -= 1
        found = [text for step, text in self.rows if first <= step < end]
        limit = min(samples, self.most or samples)
        if len(found) > limit:
            found = [found[index * len(found) // limit] for index in range(limit)]
        self.given += len(found)
        return found

    @property
    def pages(self) -> HistorySource:
        return HistorySource(self.last_step, self.line_count, self.row_size, self.page)

    @property
    def expected(self) -> list[str]:
        return [text for _, text in self.rows]


@dataclass
class Memory:
    """A part file in memory."""

    data: bytearray = field(default_factory=bytearray)

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data

    def restart(self) -> None:
        self.data.clear()

    def md5(self) -> bytes:
        raise NotImplementedError

    def digest(self) -> bytes:
        return self.md5()

    def commit(self) -> Stat:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def discard(self) -> None:
        raise NotImplementedError


async def collect(source: Source, ahead: int = 3, **options: bool) -> list[str]:
    async with aclosing(scan(source.pages, ahead=ahead, **options)) as pages:
        return [row async for page in pages for row in page]


def scanned(source: Source, ahead: int = 3, **options: bool) -> list[str]:
    return asyncio.run(collect(source, ahead, **options))


def export(source: Source, form: HistoryFormat, **options: Any) -> tuple[int, bytes]:
    part = Memory()
    count = asyncio.run(export_history(source.pages, part, form, ahead=3, **options))
    return count, bytes(part.data)


def exported(form: HistoryFormat, *texts: str) -> list[dict[str, Any]]:
    """Return the rows of an exported file, read by a strict parser."""
    need(form)
    count, data = export(Source(list(range(len(texts))), list(texts)), form)
    rows = read(form, data)
    assert len(rows) == count == len(texts)
    return rows


def need(form: HistoryFormat) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")


def read(form: HistoryFormat, data: bytes) -> list[dict[str, Any]]:
    if form == "parquet":
        return table(data).to_pylist()  # type: ignore[no-any-return]
    if form == "jsonl":
        assert data.endswith(b"\n") or not data
        return [json.loads(line, parse_constant=refuse) for line in data.decode().split("\n")[:-1]]
    rows: list[dict[str, Any]] = json.loads(data, parse_constant=refuse)
    return rows


def table(data: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(data))


def refuse(name: str) -> NoReturn:
    raise AssertionError(name)


gaps = st.one_of(st.sampled_from([0, 1, 1, 1, 2, 10]), st.integers(0, 50), st.integers(1_000, 10**7), st.just(10**11))


@st.composite
def layouts(draw: st.DrawFn) -> list[int]:
    """Steps in stretches, each with a different gap."""
    steps, step = [], draw(st.integers(0, 3))
    for gap, rows in draw(st.lists(st.tuples(gaps, st.sampled_from([1, 2, 5, 300, 2_500])), max_size=5)):
        for _ in range(rows):
            steps.append(step)
            step += gap
        step += draw(gaps)
    return steps


@settings(deadline=None)
@given(
    steps=layouts(),
    ahead=st.integers(1, 9),
    knows_count=st.booleans(),
    knows_step=st.booleans(),
    is_careful=st.booleans(),
)
def test_scan_returns_every_row_once_and_in_order(
    steps: list[int], ahead: int, knows_count: bool, knows_step: bool, is_careful: bool
) -> None:
    source = Source(steps, line_count=-1 if knows_count else None, last_step=-2 if knows_step else -1)

    assert scanned(source, ahead, is_careful=is_careful) == source.expected
    assert source.most_at_once <= ahead
    assert source.now == 0


def test_pages_of_long_rows_are_small() -> None:
    """The first page is not larger than the others."""
    source = Source(list(range(10_000)), row_size=100_000)

    assert scanned(source) == source.expected
    assert source.requests[0][1] <= 20


@settings(deadline=None, max_examples=settings().max_examples // 2)
@given(steps=layouts(), line_count=st.integers(0, 10_000))
def test_wrong_count_loses_no_row(steps: list[int], line_count: int) -> None:
    source = Source(steps, line_count=line_count)

    assert scanned(source) == source.expected


@pytest.mark.parametrize("knows_count", [True, False])
def test_dense_run_takes_few_requests(knows_count: bool) -> None:
    source = Source(list(range(100_000)), line_count=-1 if knows_count else None)

    assert scanned(source) == source.expected
    assert len(source.requests) < 20
    assert source.given == 100_000


@pytest.mark.parametrize("knows_count", [True, False])
@pytest.mark.parametrize("gap", [1_000, 2**20 + 1, 10**9])
def test_sparse_steps_take_few_requests(gap: int, knows_count: bool) -> None:
    source = Source([1 + index * gap for index in range(10_000)], line_count=-1 if knows_count else None)

    assert scanned(source) == source.expected
    assert len(source.requests) < 30
    assert source.given < 30_000


def test_distant_rows_take_few_requests() -> None:
    source = Source([*range(5_000), *range(10**12, 10**12 + 20_000), 10**15])

    assert scanned(source) == source.expected
    assert len(source.requests) < 120


def test_pages_adapt_to_the_length_of_rows() -> None:
    texts = [f'{{"_step": {step}, "x": "{"x" * 10_000}"}}' for step in range(5_000)]
    source = Source(list(range(5_000)), texts)

    assert scanned(source) == texts
    assert max(end - first for first, end, _ in source.requests[1:]) <= 200


def test_step_with_many_rows_is_requested_with_more_samples() -> None:
    source = Source([0, *[7] * 30_000, 9, 10**12], line_count=None)

    assert scanned(source) == source.expected
    assert len(source.requests) < 40


def test_rows_without_a_valid_step_are_kept() -> None:
    texts = ['{"loss": 1}', '{"_step": null}', '{"_step": "x"}', '{"_step": true}', '{"_step": NaN}', "{"] * 1_500
    source = Source([index // 3 for index in range(9_000)], texts)

    assert scanned(source) == texts


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (['{"_step": 2}', '{"_step": 1}'], "step 1 after step 2"),
        (['{"_step": 1, "a": 1}', '{"_step": 1, "a": 1}'], "the same row of step 1 twice"),
        (['{"_step": 5}'], "step 5 in a page of the steps 0 to 4"),
        (['{"_step": -1}'], "step -1 in a page"),
        (['{"a": {"_step": 1}, "_step": 7}'], "step 7 in a page"),
        (['{"_step": 1e300}'], "in a page"),
        ([f'{{"_step": 1{"0" * 400}}}'], "in a page"),
    ],
)
def test_unrequested_rows_are_refused(rows: list[str], reason: str) -> None:
    async def page(*_: int) -> list[str]:
        return rows

    with pytest.raises(ServerAnswerError, match=reason):
        export_of(HistorySource(4, None, 10, page))


@pytest.mark.parametrize(
    "rows",
    [
        ['{"_step": 1, "a": 1}', '{"_step": 1, "a": 2}', '{"_step": 2, "a": 1}'],
        ['{"a": {"_step": 7}, "_step": 0}', '{"a": "\\"_step\\": 9", "_step": 1}', '{"_step": 2.0}'],
        ['{"_step": 4}'],
        [],
    ],
)
def test_rows_in_order_are_accepted(rows: list[str]) -> None:
    async def page(*_: int) -> list[str]:
        return rows

    assert export_of(HistorySource(4, None, 10, page)) == len(rows)


def test_pages_that_are_too_large_are_split() -> None:
    class Large(Source):
        async def page(self, first: int, end: int, samples: int) -> list[str]:
            rows = await super().page(first, end, samples)
            if len(rows) > 100:
                msg = "too large"
                raise ResponseTooLargeError(msg)
            return rows

    assert scanned(Large(list(range(1_000)))) == Source(list(range(1_000))).expected
    with pytest.raises(ResponseTooLargeError):
        scanned(Large([0, *[7] * 101]))


def test_server_that_ignores_ranges_is_refused() -> None:
    class Same(Source):
        async def page(self, first: int, end: int, samples: int) -> list[str]:
            return await super().page(min(first, 0), max(end, 5_000), samples)

    with pytest.raises(ServerAnswerError, match="in a page of the steps"):
        export_of(Same(list(range(5_000))).pages)


def export_of(source: HistorySource) -> int:
    return asyncio.run(export_history(source, Memory(), "jsonl", ahead=2))


def test_run_without_rows_takes_no_request() -> None:
    source = Source([])

    assert scanned(source) == []
    assert source.requests == []


def test_rows_are_found_without_a_last_step() -> None:
    source = Source([3, 10**9, 10**12], last_step=-1)

    assert scanned(source) == source.expected
    assert len(source.requests) == 1


def test_count_reveals_rows_beyond_the_last_step() -> None:
    source = Source([0, 1, 2, 3, 4], last_step=2)

    assert scanned(source) == source.expected
    assert source.requests[0][:2] == (0, 3)


def test_pages_are_requested_while_the_caller_works() -> None:
    source = Source(list(range(50_000)))

    async def read_some() -> None:
        async with aclosing(scan(source.pages, ahead=4)) as pages:
            await anext(pages)
            await asyncio.sleep(0)
            assert source.now == 4

    asyncio.run(read_some())
    assert source.now == 0


def test_cancelled_scan_leaves_no_request() -> None:
    class Stuck(Source):
        async def page(self, first: int, end: int, samples: int) -> list[str]:
            if first == 0:
                return await super().page(first, end, samples)
            self.now += 1
            if self.now == 4:
                self.is_busy.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.now -= 1
            raise AssertionError

    source = Stuck(list(range(50_000)))

    async def cancelled() -> None:
        task = asyncio.create_task(collect(source, 4))
        await source.is_busy.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(cancelled())
    assert source.now == 0


def test_failed_page_ends_the_scan_after_earlier_pages() -> None:
    class Broken(Source):
        async def page(self, first: int, end: int, samples: int) -> list[str]:
            if first > 10_000:
                msg = "no more"
                raise ServerAnswerError(msg)
            return await super().page(first, end, samples)

    source, seen = Broken(list(range(50_000))), Counter[str]()

    async def read_all() -> None:
        async with aclosing(scan(source.pages, ahead=4)) as pages:
            async for page in pages:
                seen.update(page)

    with pytest.raises(ServerAnswerError, match="no more"):
        asyncio.run(read_all())
    assert list(seen) == source.expected[: len(seen)]
    assert len(seen) > 2_000
    assert source.now == 0


@pytest.mark.parametrize("form", FORMATS)
def test_export_has_and_counts_every_row(form: HistoryFormat) -> None:
    need(form)
    source, reported = Source(list(range(0, 70_000, 3))), list[int]()

    count, data = export(source, form, on_rows=reported.append)

    assert count == reported[-1] == len(source.steps)
    assert reported == sorted(reported)
    assert [row["_step"] for row in read(form, data)] == source.steps


@pytest.mark.parametrize("form", FORMATS)
def test_empty_history_is_exported_as_a_file(form: HistoryFormat) -> None:
    assert exported(form) == []


def test_sampled_pages_are_requested_again_in_parts() -> None:
    source = Source(list(range(20_000)), most=900)

    count, data = export(source, "jsonl")

    assert count == 20_000
    assert data.decode().splitlines() == source.expected


def test_careful_scan_checks_pages_that_are_larger_than_expected() -> None:
    source = Source([*range(5_000), *range(10**6, 10**6 + 5_000)], most=900)

    assert scanned(source, is_careful=True) == source.expected


def test_late_rows_are_awaited() -> None:
    class Late(Source):
        async def page(self, first: int, end: int, samples: int) -> list[str]:
            rows = await super().page(first, end, samples)
            return rows if len(self.requests) > 2 else []

    with use_options(history_pauses=(0, 0, 0)):
        count, _ = export(Late([0, 1, 2], last_step=-1), "json")

    assert count == 3


def test_missing_rows_raise_and_the_rest_is_exported() -> None:
    source, part = Source(list(range(5_000)), line_count=5_003), Memory()

    with pytest.raises(IncompleteHistoryError, match=r"5003 rows .* returned 5000") as caught:
        asyncio.run(export_history(source.pages, part, "json", ahead=2))

    assert (caught.value.expected, caught.value.found) == (5_003, 5_000)
    assert len(json.loads(bytes(part.data))) == 5_000
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.expected, copy.found, str(copy)) == (5_003, 5_000, str(caught.value))


def test_more_rows_than_counted_are_exported() -> None:
    count, _ = export(Source(list(range(100)), line_count=60), "json")

    assert count == 100


@pytest.mark.parametrize(
    ("counts", "is_complete"),
    [([None], True), ([100], True), ([101], True), ([60, 100], True), ([60, 60, 60, 60, 60, 60], False)],
    ids=["may grow", "agrees", "has grown", "late", "disagrees"],
)
def test_more_rows_than_an_ended_run_has_are_refused(counts: list[int | None], is_complete: bool) -> None:
    left = list(counts)

    async def count_again() -> int | None:
        return left.pop(0)

    source = replace(Source(list(range(100)), line_count=60).pages, count_again=count_again)
    refused = pytest.raises(IncompleteHistoryError, match=r"60 .* 100")
    with use_options(history_pauses=(0, 0)), contextlib.nullcontext() if is_complete else refused:
        assert export_of(source) == 100


def test_export_replaces_the_contents_of_the_part() -> None:
    part = Memory(bytearray(b"old"))

    asyncio.run(export_history(Source([1]).pages, part, "jsonl", ahead=1))

    assert bytes(part.data) == b'{"_step": 1, "n": 0}\n'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"a": NaN}', '{"a": null}'),
        ('{"a": [Infinity, -Infinity, 1, {"b": NaN}]}', '{"a": [null, null, 1, {"b": null}]}'),
        ('{"a": "NaN", "b": ["Infinity", "-Infinity"]}', '{"a": null, "b": [null, null]}'),
        ('{"NaN": 1, "Infinity" : "NaN"}', '{"NaN": 1, "Infinity" : null}'),
        (r'{"a": "x\"NaN", "b": "NaN is", "c": "nan"}', r'{"a": "x\"NaN", "b": "NaN is", "c": "nan"}'),
        (r'{"a": "\\", "b": NaN}', r'{"a": "\\", "b": null}'),
        ('{"a": 1.7e+09, "b": 9876543210987654321, "": NaN}', '{"a": 1.7e+09, "b": 9876543210987654321, "": null}'),
        (f'{{"a": {"9" * 5_000}, "b": NaN}}', f'{{"a": {"9" * 5_000}, "b": null}}'),
        (' {"a": 1}\n', '{"a": 1}'),
        ('{\n\t"a": 1\n}', '{  "a": 1 }'),
        ('{"a": "é\u00a0\u2028"}', '{"a": "é\u00a0\u2028"}'),
        ("{}", "{}"),
    ],
)
def test_non_finite_numbers_become_null(given: str, expected: str) -> None:
    before, after = '{"before": 1.50}', '{"after": 1E5}'

    assert strict_rows([before, given, after]) == [before, expected, after]


@pytest.mark.parametrize(
    "row",
    [
        "",
        "[]",
        "1",
        "NaN",
        '"{}"',
        "null",
        '{"a": NaN',
        '{"a": NaN} {}',
        '{"a": nan, "b": NaN}',
        '{"a": NaN, }',
        '{"a": "\n"}',
        None,
        {},
    ],
)
def test_row_that_is_not_an_object_raises(row: Any) -> None:
    with pytest.raises(ServerAnswerError, match="not a JSON object"):
        strict_rows(['{"a": 1}', row])


words = st.text(st.characters(codec="utf-8"), max_size=6)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.sampled_from(["NaN", "Infinity", "-Infinity"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(["a", "b", "NaN", "é", "a.b/c"]), values, max_size=4)


def plain(value: Any) -> Any:
    """The expected result for a value."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return None if value in ("NaN", "Infinity", "-Infinity") else value


INVALID = (
    r'{"a":"\x"}',
    "{'a':1}",
    '{"a":.5}',
    "{}//x",
    '{"a":01}',
    '{"a":1.}',
    '{"a":"x:"NaN""}',
    "{} {}",
    "{},{}",
    '{"a":[{}',
    "{}]}",
    '{"a":tru}',
    '{"a":1\u0663}',
    "\ufeff{}",
    '{"a":"\x01"}',
    r'{"a":"\u12"}',
    '{"a":"',
)


@pytest.mark.parametrize("row", INVALID)
@pytest.mark.parametrize("form", FORMATS)
def test_invalid_row_is_named_by_its_number(row: str, form: HistoryFormat) -> None:
    need(form)

    async def page(*_: int) -> list[str]:
        return ['{"_step": 0}', '{"_step": 1, "a": NaN}', row]

    with pytest.raises(ServerAnswerError, match=r"^row 3 of the history is not a JSON object$"):
        asyncio.run(export_history(HistorySource(4, None, 10, page), Memory(), form, ahead=1))


def accepts(row: str) -> bool:
    try:
        return isinstance(json.loads(row, parse_int=str), dict)
    except ValueError:
        return False


def numbers_as_text(row: str) -> Any:
    """Parse a row. JSON has numbers that are too large for a float: they stay as they are."""
    return json.loads(row, parse_float=str)


INSERTS = ["", *'{}[]:,"\\+-.0e1 \t\n\r\x00/', "NaN", "null", '"NaN"', "{}", '{"a":', "\ud800"]

# Not inside of the function below: a strategy is validated once, which takes longer than a draw.
texts = st.one_of(records.map(json.dumps), st.sampled_from(INVALID), st.just("{}"))
inserts = st.sampled_from(INSERTS)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Return the text of an object with some characters in other places, or of a part of one."""
    text = draw(texts)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        insert = draw(inserts)
        text = text[:at] + insert + text[at + draw(st.integers(0, 2)) :]
    return text


@settings(deadline=None, max_examples=5 * settings().max_examples)
@given(rows=st.lists(broken(), min_size=1, max_size=3))
@example(rows=['{"a": 1.79769313486233e+308}'])
def test_strict_rows_accepts_what_a_json_parser_accepts(rows: list[str]) -> None:
    if not all(map(accepts, rows)):
        with pytest.raises(ServerAnswerError):
            strict_rows(rows)
        return
    found = strict_rows(rows)
    assert [numbers_as_text(row) for row in found] == [plain(numbers_as_text(row)) for row in rows]
    assert not any("\n" in row or "\r" in row for row in found)
    assert not are_strict(rows) or found == rows or "NaN" in str(rows) or "Infinity" in str(rows)


@settings(deadline=None)
@given(rows=st.lists(records, max_size=8), ascii_only=st.booleans())
def test_exported_json_is_strict_and_otherwise_unchanged(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    texts = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]

    for form in ("json", "jsonl"):
        assert exported(form, *texts) == [plain(row) for row in rows]


@pytest.mark.parametrize("form", FORMATS)
def test_lone_surrogates_can_be_exported(form: HistoryFormat) -> None:
    rows = exported(form, '{"a": "x\ud800", "k\udfff": 1}', r'{"a": "x\ud800", "k\udfff": 1}')

    assert len(rows) == 2


@settings(deadline=None)
@given(rows=st.lists(records, max_size=8), per_page=st.integers(1, 8))
def test_parquet_preserves_every_value(rows: list[dict[str, Any]], per_page: int) -> None:
    need("parquet")
    from wandb_artifacts._history.parquet import ParquetWriter

    part = Memory()
    writer = ParquetWriter(part)
    for start in range(0, len(rows), per_page):
        writer.write([json.dumps(row) for row in rows[start : start + per_page]])
    writer.end()
    writer.close()
    found = table(bytes(part.data))

    assert found.num_rows == len(rows)
    for key in {key for row in rows for key in row}:
        expected = [plain(row.get(key)) for row in rows]
        column = found[key].to_pylist()
        kinds = {type(value) for value in expected if value is not None}
        is_text = str(found.schema.field(key).type) == "string" and kinds != {str}
        assert [json.loads(v) if is_text and v is not None else v for v in column] == expected
        if (kinds and kinds <= {bool}) or kinds <= {float}:
            assert not is_text


def test_parquet_columns_have_the_types_of_their_values() -> None:
    rows = [
        {"_step": 0, "whole": 1, "both": 1, "flag": True, "text": "a", "nested": {"x": [1, 2.5]}, "mixed": "a"},
        {"_step": 1, "whole": 2**62, "both": 0.5, "late": 7, "mixed": 1, "big": 2**80, "nested": {"x": "NaN"}},
        {"_step": 2, "nan": "NaN", "both": "Infinity", "mixed": True, "wide": 2**60},
        {"_step": 3, "wide": 0.5, "both": 3},
    ]
    need("parquet")
    _, data = export(Source([0, 1, 2, 3], [json.dumps(row) for row in rows]), "parquet")
    found = table(data)

    assert {name: str(found.schema.field(name).type) for name in found.column_names} == {
        "_step": "int64",
        "whole": "int64",
        "both": "double",
        "flag": "bool",
        "text": "string",
        "nested": "string",
        "mixed": "string",
        "late": "int64",
        "big": "string",
        "nan": "double",
        "wide": "string",
    }
    assert found["both"].to_pylist() == [1.0, 0.5, None, 3.0]
    assert found["nested"].to_pylist() == ['{"x": [1, 2.5]}', '{"x": null}', None, None]
    assert found["mixed"].to_pylist() == ['"a"', "1", "true", None]
    assert found["late"].to_pylist() == [None, 7, None, None]
    assert found["wide"].to_pylist() == [None, None, str(2**60), "0.5"]
    assert found["big"].to_pylist() == [None, str(2**80), None, None]
    assert found["nan"].to_pylist() == [None] * 4


def test_parquet_has_null_for_numbers_beyond_a_double() -> None:
    rows = exported("parquet", '{"a": 1e999, "b": [1e999, 2]}', '{"a": 1.5}')

    assert rows == [{"_step": None, "a": None, "b": "[null, 2]"}, {"_step": None, "a": 1.5, "b": None}]


def test_parquet_merges_pages_with_different_columns() -> None:
    texts = [
        json.dumps({"_step": n, "a": n if n < 5_000 else n + 0.5, **({"late": "x"} if n == 19_999 else {})})
        for n in range(20_000)
    ]
    rows = exported("parquet", *texts)

    assert [row["a"] for row in rows] == [float(n) if n < 5_000 else n + 0.5 for n in range(20_000)]
    assert [row["late"] for row in rows[-2:]] == [None, "x"]


@pytest.mark.parametrize("form", FORMATS)
def test_history_file_is_named_after_its_format(form: HistoryFormat) -> None:
    assert history_file(form) == f"metrics_history.{form}"


def test_invalid_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for form in ("json", "jsonl"):
        check_format(form)
    with pytest.raises(InvalidValueError, match="history_format='csv': must be 'json', 'jsonl' or 'parquet'"):
        check_format("csv")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidValueError, match=r"history_format='parquet': .*pip install '.*\[parquet\]'"):
        check_format("parquet")


def test_json_export_imports_neither_pandas_nor_pyarrow() -> None:
    code = (
        "import sys, wandb_artifacts._history.export as h; h.check_format('json')\n"
        "assert not {'pandas', 'pyarrow', 'aiohttp', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
