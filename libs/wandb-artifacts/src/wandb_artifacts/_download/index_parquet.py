"""`runs.parquet`: nested configs and summaries as typed columns, whose types are known only after the last row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import IO, Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

Lines: TypeAlias = Callable[[], Iterable[bytes]]
"""Returns the rows, each a line of JSON; from the first one on each call."""

_GROUP_BYTES = 8_000_000
_MOST_KEYS = 1000
_DEEPEST = 16
_COLUMNS = {
    "id": pa.string(),
    "name": pa.string(),
    "state": pa.string(),
    "created_at": pa.timestamp("us", "UTC"),
    "updated_at": pa.timestamp("us", "UTC"),
    "user": pa.string(),
    "tags": pa.list_(pa.string()),
    "group": pa.string(),
    "job_type": pa.string(),
    "sweep": pa.string(),
    "config": None,
    "summary": None,
    "history_rows": pa.int64(),
    "path": pa.string(),
}
"""The columns and their types; None for those whose type depends on the rows."""
_KINDS = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object"}
_TYPES = {
    frozenset[str](): pa.float64(),
    frozenset({"boolean"}): pa.bool_(),
    frozenset({"integer"}): pa.int64(),
    frozenset({"number"}): pa.float64(),
    frozenset({"integer", "number"}): pa.float64(),
}


def write_parquet(lines: Lines, file: IO[bytes]) -> None:
    """Write rows as Parquet.

    If the values of one key have different types in different rows, the column holds JSON text; integers and floats
    become doubles. JSON text are also objects without keys, with more than 1,000 keys over all rows, or with keys that
    differ only in case, which not every reader accepts as columns.
    """
    nested = {name: _Place() for name, kind in _COLUMNS.items() if kind is None}
    for line in lines():
        row = json.loads(line)
        for name, place in nested.items():
            place.add(row[name])
    schema = pa.schema([(name, kind or nested[name].type) for name, kind in _COLUMNS.items()])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _groups(lines()):
            columns = [
                pa.array([_encode(name, row[name], nested) for row in rows], each.type)
                for name, each in zip(schema.names, schema, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _groups(lines: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    rows, size = list[dict[str, Any]](), 0
    for line in lines:
        rows.append(json.loads(line))
        size += len(line)
        if size >= _GROUP_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _encode(name: str, value: Any, nested: dict[str, _Place]) -> Any:
    if name in nested:
        return nested[name].encode(value)
    return _moment(value) if name in ("created_at", "updated_at") else value


def _moment(text: str | None) -> datetime | None:
    try:
        # Python 3.10 does not read the Z.
        found = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


@dataclass
class _Place:
    """A place in the rows, such as the value of a key, and the kinds of values that it has had."""

    depth: int = 0
    kinds: set[str] = field(default_factory=set)
    keys: dict[str, _Place] = field(default_factory=dict)
    items: _Place | None = None

    def add(self, value: Any) -> None:
        if value is None:
            return
        self.kinds.add(_KINDS[type(value)])
        if self.depth == _DEEPEST or len(self.keys) > _MOST_KEYS:
            return
        if isinstance(value, dict):
            for key, item in value.items():
                self.keys.setdefault(key, _Place(self.depth + 1)).add(item)
        elif isinstance(value, list):
            self.items = self.items or _Place(self.depth + 1)
            for item in value:
                self.items.add(item)

    @cached_property
    def type(self) -> Any:
        """The type of the column; read after the last row."""
        if self._is_struct:
            return pa.struct([(key, place.type) for key, place in self.keys.items()])
        if self._is_list and self.items:
            return pa.list_(self.items.type)
        return _TYPES.get(frozenset(self.kinds), pa.string())

    def encode(self, value: Any) -> Any:
        """Return a value in the form that Arrow takes for the type."""
        if value is None:
            return None
        if self._is_struct:
            return {key: place.encode(value.get(key)) for key, place in self.keys.items()}
        if self._is_list and self.items:
            return [self.items.encode(item) for item in value]
        if frozenset(self.kinds) in _TYPES:
            return float(value) if self.type == pa.float64() else value
        return value if self.kinds == {"text"} else json.dumps(value, ensure_ascii=False)

    @cached_property
    def _is_struct(self) -> bool:
        distinct = {key.lower() for key in self.keys}
        is_readable = len(distinct) == len(self.keys) and "" not in distinct
        return self.kinds == {"object"} and self.depth < _DEEPEST and 0 < len(self.keys) <= _MOST_KEYS and is_readable

    @cached_property
    def _is_list(self) -> bool:
        return self.kinds == {"list"} and self.depth < _DEEPEST
