"""Rows of Parquet files as W&B may export them: any column type, any order of files."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb_artifacts._history.exports import UnreadableExportsError
from wandb_artifacts._history.writers import open_writer

from tests.wandb_artifacts.test_history import Memory, read

if TYPE_CHECKING:
    from wandb_artifacts._download.results import HistoryFormat

pa = pytest.importorskip("pyarrow", reason="exports need pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

Row = dict[str, Any]


def file(**columns: Any) -> BinaryIO:
    """A Parquet file with several row groups."""
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, row_group_size=3)
    return target


def of_rows(*rows: Row) -> BinaryIO:
    return file(**{key: [row.get(key) for row in rows] for key in dict.fromkeys(key for row in rows for key in row)})


def copied(files: Any, form: HistoryFormat = "jsonl", live: tuple[int, int] | None = None) -> list[Row]:
    """The rows as the history file has them."""
    from wandb_artifacts._history.exported_rows import ExportedRows

    exported, part = ExportedRows(files, live), Memory()
    writer = open_writer(form, part, exported.kinds)
    try:
        count = 0
        while found := exported.copy_batch(writer):
            count += found
        writer.end()
    finally:
        writer.close()
    rows = read(form, bytes(part.data))
    assert len(rows) == count
    return rows


COLUMNS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "int8": (pa.int8(), [-128, None], [-128, None]),
    "uint32": (pa.uint32(), [2**32 - 1], [2**32 - 1]),
    "float32": (pa.float32(), [0.5, math.nan], [0.5, None]),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), ["a", "b", "a"], ["a", "b", "a"]),
    "large string": (pa.large_string(), ["x"], ["x"]),
    "binary": (pa.binary(), ["é".encode()], ["é"]),
    "nothing": (pa.null(), [None, None], [None, None]),
}


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
@pytest.mark.parametrize("name", COLUMNS)
def test_values_of_every_column_type_are_read(name: str, form: HistoryFormat) -> None:
    """JSON has null for NaN, and no key that a row did not log."""
    type_, values, expected = COLUMNS[name]
    rows = copied([file(_step=range(len(values)), a=pa.array(values, type_))], form)

    assert [row.get("a") for row in rows] == expected
    if form != "parquet":
        logged = [value is not None for value in values]
        assert ["a" in row for row in rows] == logged


NESTED: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "list": (pa.list_(pa.float64()), [[1.5, math.nan]], [[1.5, None]]),
    "fixed list": (pa.list_(pa.int64(), 2), [[1, 2]], [[1, 2]]),
    "map": (pa.map_(pa.string(), pa.int64()), [[("x", 1), ("y", None)]], [{"x": 1, "y": None}]),
    "struct": (pa.struct({"x": pa.int64(), "y": pa.string()}), [{"x": 1}, {"y": "z"}], [{"x": 1}, {"y": "z"}]),
    "list of structs": (pa.list_(pa.struct({"x": pa.binary()})), [[{"x": b"a"}, {}]], [[{"x": "a"}, {}]]),
}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", NESTED)
def test_nested_columns_are_read(name: str, form: HistoryFormat) -> None:
    """Parquet output has them as JSON text, as for rows from pages."""
    type_, values, expected = NESTED[name]
    rows = copied([file(_step=range(len(values)), a=pa.array(values, type_))], form)
    found = [row["a"] for row in rows]

    assert [json.loads(value) for value in found] == expected if form == "parquet" else found == expected


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_unsigned_64_bit_integers_are_exact(form: HistoryFormat) -> None:
    """Parquet output has them as text."""
    (row,) = copied([file(_step=[0], a=pa.array([2**64 - 1], pa.uint64()))], form)
    assert int(row["a"]) == 2**64 - 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1], [0.5], [1.0, 0.5]),
        ([2**53 + 1], [0.5], ["9007199254740993", "0.5"]),
        ([1], ["x"], ["1", '"x"']),
        ([None], [True], [None, True]),
    ],
)
def test_files_of_different_types_get_one_column(first: list[Any], second: list[Any], expected: list[Any]) -> None:
    """The rule is that for rows from pages: values that a double cannot represent exactly become text."""
    rows = copied([file(_step=[1], a=second), file(_step=[0], a=first)], "parquet")
    assert [row["a"] for row in rows] == expected


def test_files_of_one_type_are_copied_as_they_are() -> None:
    """A key that a file lacks is null there."""
    files = [of_rows({"_step": 2, "b": "x"}), of_rows({"_step": 0, "a": 1}, {"_step": 1, "a": 2})]
    assert copied(files, "parquet") == [
        {"_step": 0, "a": 1, "b": None},
        {"_step": 1, "a": 2, "b": None},
        {"_step": 2, "a": None, "b": "x"},
    ]


def test_steps_may_be_doubles_in_any_column() -> None:
    """The SDK casts them too. W&B writes files without rows and columns."""
    empty = io.BytesIO()
    pq.write_table(pa.table({}), empty)
    assert copied([file(a=[5, 6], _step=[0.0, 1.0]), empty]) == [{"_step": 0, "a": 5}, {"_step": 1, "a": 6}]


def test_live_steps_are_left_to_pages() -> None:
    """They may be in the middle of a file."""
    files = [file(_step=range(10)), file(_step=range(10, 20))]
    assert [row["_step"] for row in copied(files, live=(7, 30))] == list(range(7))


def test_row_in_two_files_is_returned_once() -> None:
    """W&B compacts files while they can be read. Different rows of one step are all kept."""
    old = of_rows(*({"_step": step, "a": step / 3, "b": [step]} for step in range(8)))
    new = of_rows(*({"_step": step, "a": step / 3, "b": [step]} for step in range(4, 12)))
    other = of_rows({"_step": 5, "a": -1.0})

    rows = copied([new, other, old])

    assert [row["_step"] for row in rows] == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11]
    assert {"_step": 5, "a": -1.0} in rows


def test_row_twice_in_one_file_is_returned_once() -> None:
    """Rows are compared by value; NaN equals NaN."""
    rows = copied([file(_step=[0, 0, 1], a=[math.nan, math.nan, 1.0])])
    assert rows == [{"_step": 0, "a": None}, {"_step": 1, "a": 1}]


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6)), max_size=300),
    batch=st.integers(1, 9),
    form=st.sampled_from(["jsonl", "parquet"]),
)
def test_any_distribution_over_files_gives_the_same_rows(
    rows: list[tuple[int, int]], batch: int, form: HistoryFormat
) -> None:
    """Each distinct row once, in the order of the steps, however few rows are read at a time."""
    from wandb_artifacts._history import exported_rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exported_rows, "_BATCH_ROWS", batch)
        files = [of_rows(*({"_step": s, "a": s % 7} for s, f in sorted(rows) if f == number)) for number in range(7)]
        found = copied([each for number, each in enumerate(files) if any(f == number for _, f in rows)], form)

    assert found == [{"_step": step, "a": step % 7} for step in sorted({step for step, _ in rows})]


UNREADABLE: dict[str, Any] = {
    "dates": {"_step": [0], "a": pa.array([0], pa.date32())},
    "dates in a list": {"_step": [0], "a": pa.array([[0]], pa.list_(pa.date32()))},
    "decimals": {"_step": [0], "a": pa.array([1], pa.decimal128(5))},
    "bytes that are not text": {"_step": [0], "a": pa.array([b"\xff"])},
    "no steps": {"a": [0]},
    "a step that is null": {"_step": [0, None]},
    "a step that is text": {"_step": ["x"]},
    "half a step": {"_step": [0.5]},
    "a negative step": {"_step": [-1, 0]},
    "no order": {"_step": [0, 2, 1]},
    "no order of groups": {"_step": [3, 4, 5, 0, 1, 2]},
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_files_that_cannot_be_read_exactly_are_refused(name: str) -> None:
    """The history is then read from pages."""
    with pytest.raises(UnreadableExportsError):
        copied([file(**UNREADABLE[name])])


@pytest.mark.parametrize("data", [b"", b"PAR1", b"x" * 1000, b"PAR1" + b"x" * 100 + b"PAR1"])
def test_files_that_are_not_parquet_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableExportsError):
        copied([io.BytesIO(data)])


def test_overlapping_files_of_different_types_are_refused() -> None:
    """Their rows cannot be merged without changing a value."""
    with pytest.raises(UnreadableExportsError):
        copied([file(_step=[0, 2], a=[2**53 + 1, 1]), file(_step=[1, 3], a=[0.5, 0.5])])
