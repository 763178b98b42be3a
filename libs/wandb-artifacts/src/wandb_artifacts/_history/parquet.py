"""Parquet output in constant memory, although the columns are known only after the last row."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from wandb_artifacts._errors import ServerAnswerError
from wandb_artifacts._history.columns import (
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    TYPES,
    common_kind,
    finite,
    integer_kind,
    json_texts,
    kind_of_value,
    to_column,
)
from wandb_artifacts._history.rows import strict_rows

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Part

_GROUP_BYTES = 4_000_000
_BLOCK_BYTES = 1_000_000

_Kinds = dict[str, str | None]


class ParquetWriter:
    """Stores the rows as columns in a temporary file; `end` converts the columns of all pages to one schema.

    A column of integers and floats becomes doubles; any other mixture becomes JSON text, as do lists and objects. NaN
    and Infinity are null.

    Args:
        part: The partial file.
        kinds: The kinds of all columns, if they are known: then exported rows, and no others, are written at once.
    """

    def __init__(self, part: Part, kinds: Mapping[str, str | None] | None = None) -> None:
        self._part = part
        self._spool = tempfile.TemporaryFile(prefix="wandb-artifacts-")  # noqa: SIM115 - closed in close
        self._pages: list[_Kinds] = []
        self._kinds: _Kinds = dict(kinds or {"_step": None})
        self._output = _Output(part, self._kinds) if kinds else None
        self._count = 0

    def write(self, rows: list[str]) -> None:
        if not rows:
            return
        records = _parse(strict_rows(rows, before=self._count), before=self._count)
        keys = dict.fromkeys(chain(["_step"], *records))
        self._add({key: _column([record.get(key) for record in records]) for key in keys}, len(rows))

    def write_exported(self, batch: Any) -> None:
        self._add(dict(zip(batch.schema.names, map(to_column, batch.columns), strict=True)), len(batch))

    def end(self) -> None:
        if not self._output:
            self._output = _Output(self._part, self._kinds)
            for kinds, batch in self._batches():
                columns = zip(kinds.values(), batch.columns, strict=True)
                self._output.write(dict(zip(kinds, columns, strict=True)), len(batch))
        self._output.end()

    def close(self) -> None:
        if self._output:
            self._output.abandon()
        self._spool.close()

    def _add(self, columns: Mapping[str, tuple[str | None, Any]], count: int) -> None:
        self._count += count
        if self._output:
            self._output.write(columns, count)
            return
        for key, (kind, _) in columns.items():
            self._kinds[key] = common_kind(self._kinds.get(key), kind)
        batch = pa.RecordBatch.from_arrays(
            [column for _, column in columns.values()], names=[_utf8(key) for key in columns]
        )
        with pa.ipc.new_stream(self._spool, batch.schema) as stream:
            stream.write_batch(batch)
        self._pages.append({key: kind for key, (kind, _) in columns.items()})

    def _batches(self) -> Iterator[tuple[_Kinds, Any]]:
        self._spool.seek(0)
        for kinds in self._pages:
            with pa.ipc.open_stream(self._spool) as stream:
                yield kinds, stream.read_all().combine_chunks().to_batches()[0]


class _Output:
    """A Parquet file whose columns are known."""

    def __init__(self, part: Part, kinds: _Kinds) -> None:
        self._kinds = kinds
        self._sink = _Sink(part)
        self._schema = pa.schema([(_utf8(key), TYPES[kind]) for key, kind in kinds.items()])
        # Numbers seldom repeat: a dictionary of them takes longer to build, and makes the file larger.
        repeating = [field.name for field in self._schema if pa.types.is_string(field.type)]
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd", use_dictionary=repeating)
        self._group: list[Any] = []

    def write(self, found: Mapping[str, tuple[str | None, Any]], count: int) -> None:
        columns = [_as(kind, *found.get(key, (None, None)), count) for key, kind in self._kinds.items()]
        self._group.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        if sum(each.nbytes for each in self._group) >= _GROUP_BYTES:
            self._flush()

    def end(self) -> None:
        self._flush()
        self._writer.close()
        self._sink.flush()

    def abandon(self) -> None:
        """Write nothing more: left open, Arrow's writer would do so at some later time."""
        self._sink.is_abandoned = True
        self._writer.close()

    def _flush(self) -> None:
        if self._group:
            self._writer.write_table(pa.Table.from_batches(self._group), row_group_size=sum(map(len, self._group)))
            self._group.clear()
            # Otherwise the pool retains several times as much as is in use.
            pa.default_memory_pool().release_unused()


class _Sink:
    """A part as a file object for Arrow; combines many small writes."""

    closed = False
    is_abandoned = False

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
        if self._block and not self.is_abandoned:
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
        kind = common_kind(kind, kind_of_value(each))
    if int in types and kind in (INTEGER, NUMBER):
        integers = [value for value in values if type(value) is int]
        kind = common_kind(kind, integer_kind(min(integers), max(integers)))
    if kind is None:
        return None, pa.nulls(len(values), TYPES[None])
    if kind == JSON:
        return kind, json_texts(values)
    if kind == TEXT:
        values = [None if value is None else _utf8(value) for value in values]
    column = pa.array(values, TYPES[kind])
    # JSON can contain numbers that are too large for a double.
    return kind, finite(column) if kind == NUMBER else column


def _as(kind: str | None, given: str | None, column: Any, count: int) -> Any:
    """Return a column of one kind as one of another."""
    if given is None:
        return pa.nulls(count, TYPES[kind])
    if kind == given:
        return column
    return json_texts(column.to_pylist()) if kind == JSON else column.cast(TYPES[kind])


def _utf8(text: str) -> str:
    """Return the text with half surrogate pairs escaped, which UTF-8 cannot encode."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
