"""Parquet output in constant memory, although the columns are known only after the last row."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wandb_artifacts._errors import ServerAnswerError
from wandb_artifacts._history.rows import strict_rows
from wandb_artifacts._json import dump, to_strict

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Part

_GROUP_BYTES = 4_000_000
_BLOCK_BYTES = 1_000_000
_EXACT = 2**53
"""A double represents every integer up to this one exactly."""

_BOOLEAN, _INTEGER, _LONG, _NUMBER, _TEXT, _JSON = "boolean", "integer", "long", "number", "text", "json"
"""Kinds of columns. JSON: lists, objects, and values of different kinds, each as JSON text."""

_TYPES = {
    # Only null: most likely a metric that was always NaN.
    None: pa.float64(),
    _BOOLEAN: pa.bool_(),
    _INTEGER: pa.int64(),
    _LONG: pa.int64(),
    _NUMBER: pa.float64(),
    _TEXT: pa.string(),
    _JSON: pa.string(),
}
_KINDS = {bool: _BOOLEAN, int: _INTEGER, float: _NUMBER, str: _TEXT}

_Kinds = dict[str, str | None]


class ParquetWriter:
    """Stores the rows as columns in a temporary file; `end` converts the columns of all pages to one schema.

    A column of integers and floats becomes doubles; any other mixture becomes JSON text, as do lists and objects. NaN
    and Infinity are null.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._spool = tempfile.TemporaryFile(prefix="wandb-artifacts-")  # noqa: SIM115 - closed in close
        self._pages: list[_Kinds] = []
        self._kinds: _Kinds = {"_step": None}
        self._count = 0

    def write(self, rows: list[str]) -> None:
        if not rows:
            return
        records = _parse(strict_rows(rows, before=self._count), before=self._count)
        self._count += len(rows)
        kinds: _Kinds = {}
        columns = []
        for key in dict.fromkeys(chain(["_step"], *records)):
            kind, column = _column([record.get(key) for record in records])
            kinds[key] = kind
            columns.append(column)
            self._kinds[key] = _common(self._kinds.get(key), kind)
        batch = pa.RecordBatch.from_arrays(columns, names=[_utf8(key) for key in kinds])
        with pa.ipc.new_stream(self._spool, batch.schema) as stream:
            stream.write_batch(batch)
        self._pages.append(kinds)

    def end(self) -> None:
        schema = pa.schema([(_utf8(key), _TYPES[kind]) for key, kind in self._kinds.items()])
        sink = _Sink(self._part)
        with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            group: list[Any] = []
            for batch in self._batches(schema):
                group.append(batch)
                if sum(each.nbytes for each in group) >= _GROUP_BYTES:
                    writer.write_table(pa.Table.from_batches(group), row_group_size=sum(map(len, group)))
                    group.clear()
            if group:
                writer.write_table(pa.Table.from_batches(group), row_group_size=sum(map(len, group)))
        sink.flush()

    def close(self) -> None:
        self._spool.close()

    def _batches(self, schema: Any) -> Iterator[Any]:
        self._spool.seek(0)
        for kinds in self._pages:
            with pa.ipc.open_stream(self._spool) as stream:
                batch = stream.read_all().combine_chunks().to_batches()[0]
            found = dict(zip(kinds, batch.columns, strict=True))
            columns = [
                _as(kind, kinds[key], found[key]) if kinds.get(key) else pa.nulls(len(batch), _TYPES[kind])
                for key, kind in self._kinds.items()
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


class _Sink:
    """A part as a file object for Arrow; combines many small writes."""

    closed = False

    def __init__(self, part: Part) -> None:
        self._part = part
        self._block = bytearray()
        self._position = 0

    def write(self, data: bytes) -> int:
        self._block += data
        self._position += len(data)
        if len(self._block) >= _BLOCK_BYTES:
            self.flush()
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        if self._block:
            self._part.write(bytes(self._block))
            self._block.clear()

    def close(self) -> None:
        pass


def _parse(rows: list[str], *, before: int) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(f"[{','.join(rows)}]")
    except (ValueError, RecursionError):
        # Strict JSON all the same: an integer of thousands of digits, or many nested values.
        msg = f"the rows {before + 1} to {before + len(rows)} of the history have a value that cannot be parsed"
        raise ServerAnswerError(msg) from None
    return found


def _column(values: list[Any]) -> tuple[str | None, Any]:
    types = set(map(type, values)) - {type(None)}
    kind: str | None = None
    for each in types:
        kind = _common(kind, _KINDS.get(each, _JSON))
    if int in types and kind in (_INTEGER, _NUMBER):
        kind = _common(kind, _size([value for value in values if type(value) is int]))
    if kind is None:
        return None, pa.nulls(len(values), _TYPES[None])
    if kind == _JSON:
        values = [None if value is None else _text(value) for value in values]
    elif kind == _TEXT:
        values = [None if value is None else _utf8(value) for value in values]
    column = pa.array(values, _TYPES[kind])
    if kind == _NUMBER:
        # JSON can contain numbers that are too large for a double.
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    return kind, column


def _size(integers: list[int]) -> str:
    low, high = min(integers), max(integers)
    if low >= -_EXACT and high <= _EXACT:
        return _INTEGER
    return _LONG if low >= -(2**63) and high < 2**63 else _JSON


def _common(one: str | None, other: str | None) -> str | None:
    """Return the kind of column that can hold both kinds of values."""
    kinds = {one, other} - {None}
    if len(kinds) < 2:
        return one or other
    if kinds == {_INTEGER, _LONG}:
        return _LONG
    return _NUMBER if kinds == {_INTEGER, _NUMBER} else _JSON


def _as(kind: str | None, given: str | None, column: Any) -> Any:
    if kind == given:
        return column
    if kind == _JSON:
        return pa.array([None if value is None else _text(value) for value in column.to_pylist()], pa.string())
    return column.cast(_TYPES[kind])


def _text(value: Any) -> str:
    return dump(to_strict(value)).decode()


def _utf8(text: str) -> str:
    """Return the text with half surrogate pairs escaped, which UTF-8 cannot encode."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
