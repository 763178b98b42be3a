"""Columns of history in Arrow's memory: their kinds, and their conversion to what a file of the history holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wandb_artifacts._json import MISSING_NUMBERS, dump, to_strict

BOOLEAN, INTEGER, LONG, NUMBER, TEXT, JSON = "boolean", "integer", "long", "number", "text", "json"
"""Kinds of columns. JSON: lists, objects, and values of different kinds, each as JSON text."""

EXACT = 2**53
"""A double represents every integer up to this one exactly."""

TYPES = {
    # Only null: most likely a metric that was always NaN.
    None: pa.float64(),
    BOOLEAN: pa.bool_(),
    INTEGER: pa.int64(),
    LONG: pa.int64(),
    NUMBER: pa.float64(),
    TEXT: pa.string(),
    JSON: pa.string(),
}

_KINDS = {bool: BOOLEAN, int: INTEGER, float: NUMBER, str: TEXT}
_MISSING = pa.array(MISSING_NUMBERS)
_CONTROL = "[\\x00-\\x1f]"


class UnknownTypeError(Exception):
    """A column has a type that W&B's own reader does not know."""


def common_kind(one: str | None, other: str | None) -> str | None:
    """Return the kind of column that can hold both kinds of values."""
    kinds = {one, other} - {None}
    if len(kinds) < 2:
        return one or other
    if kinds == {INTEGER, LONG}:
        return LONG
    return NUMBER if kinds == {INTEGER, NUMBER} else JSON


def kind_of_value(type: type) -> str:  # noqa: A002
    """Return the kind of a column for values of a type of Python, which a JSON parser returned."""
    return _KINDS.get(type, JSON)


def integer_kind(low: int, high: int) -> str:
    """Return the kind of a column with integers of a range."""
    if low >= -EXACT and high <= EXACT:
        return INTEGER
    return LONG if low >= -(2**63) and high < 2**63 else JSON


def kind_of(type: Any) -> str | None:  # noqa: A002
    """Return the kind of a column of a Parquet file by its type; all integers count as long.

    Raises:
        UnknownTypeError: The type is not supported.
    """
    types = pa.types
    if types.is_null(type):
        return None
    if types.is_boolean(type):
        return BOOLEAN
    if types.is_integer(type):
        return LONG
    if types.is_floating(type):
        return NUMBER
    if _is_text(type):
        return TEXT
    if types.is_dictionary(type):
        return kind_of(type.value_type)
    # pyarrow 15 does not count lists of a fixed size as nested.
    if (types.is_nested(type) or types.is_fixed_size_list(type)) and not types.is_union(type):
        for index in range(type.num_fields):
            kind_of(type.field(index).type)
        return JSON
    msg = f"a column has the type {type}"
    raise UnknownTypeError(msg)


def to_column(array: Any) -> tuple[str | None, Any]:
    """Convert a column of an exported file to one of a kind; NaN and Infinity become null."""
    kind, array = kind_of(array.type), _plain(array)
    if kind is None or array.null_count == len(array):
        return None, pa.nulls(len(array), TYPES[None])
    if kind == LONG:
        bounds = pc.min_max(array).as_py()
        kind = integer_kind(bounds["min"], bounds["max"])
    elif kind == NUMBER:
        array = finite(array.cast(pa.float64()))
    elif kind == TEXT and pc.any(pc.is_in(array, _MISSING)).as_py():
        array = pc.if_else(pc.is_in(array, _MISSING), pa.scalar(None, array.type), array)
    elif kind == JSON:
        array = json_texts(_values(array))
    return kind, array.cast(TYPES[kind])


def finite(array: Any) -> Any:
    """Return a column of doubles with null for numbers that are not finite."""
    is_finite = pc.is_finite(array)
    if pc.all(is_finite).as_py() is not False:
        return array
    return pc.if_else(is_finite, array, pa.scalar(None, array.type))


def to_json_text(array: Any) -> Any:
    """Return the JSON text of each value of a column; null for a key that a row did not log."""
    kind, array = kind_of(array.type), _plain(array)
    if kind is None:
        return pa.nulls(len(array), pa.string())
    if kind == NUMBER:
        array = array.cast(pa.float64())
        is_finite, text = pc.is_finite(array), array.cast(pa.string())
        return text if pc.all(is_finite).as_py() is not False else pc.if_else(is_finite, text, _text("null"))
    if kind == TEXT:
        return _quoted(array)
    if kind == JSON:
        return json_texts(_values(array))
    return array.cast(pa.string())


def json_texts(values: Iterable[Any]) -> Any:
    """Return a column with the JSON text of each value; None stays null."""
    return pa.array([None if value is None else dump(to_strict(value)).decode() for value in values], pa.string())


def _quoted(array: Any) -> Any:
    is_missing = pc.is_in(array, _MISSING)
    if pc.any(pc.match_substring_regex(array, _CONTROL)).as_py():
        text = json_texts(array.to_pylist())
    else:
        escaped = pc.replace_substring(pc.replace_substring(array, "\\", "\\\\"), '"', '\\"')
        text = _joined(_text('"'), escaped, _text('"'))
    return pc.if_else(is_missing, _text("null"), text) if pc.any(is_missing).as_py() else text


def _joined(*pieces: Any) -> Any:
    return pc.binary_join_element_wise(*pieces, _text(""))


def _text(value: str) -> Any:
    """Return the text as a scalar. Where a type is not stated, Arrow tries to import pandas to find it, each time."""
    return pa.scalar(value, pa.string())


def _plain(array: Any) -> Any:
    """Return a column without dictionary, and text as strings.

    Raises:
        pyarrow.ArrowInvalid: Bytes are not UTF-8.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if _is_text(array.type) and array.type != pa.string() else array


def _is_text(type: Any) -> bool:  # noqa: A002
    types = pa.types
    return bool(
        types.is_string(type)
        or types.is_large_string(type)
        or types.is_binary(type)
        or types.is_large_binary(type)
        or types.is_fixed_size_binary(type)
    )


def _values(array: Any) -> list[Any]:
    convert = _converter(array.type)
    return [None if value is None else convert(value) for value in array.to_pylist()]


def _converter(type: Any) -> Callable[[Any], Any]:  # noqa: A002
    """Return the function that makes W&B's value of one of a nested type; a field that is null was not logged."""
    types = pa.types
    if types.is_struct(type):
        fields = {type.field(index).name: _converter(type.field(index).type) for index in range(type.num_fields)}
        return lambda value: {key: fields[key](item) for key, item in value.items() if item is not None}
    if types.is_map(type):
        item_of = _converter(type.item_type)
        return lambda value: {_decoded(key): None if item is None else item_of(item) for key, item in value}
    if types.is_nested(type):
        each = _converter(type.value_type)
        return lambda value: [None if item is None else each(item) for item in value]
    return _decoded


def _decoded(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def to_json_rows(batch: Any, *, before: str, after: str) -> bytes:
    """Return the rows of a batch as JSON objects without the keys that are null.

    Args:
        batch: A record batch whose first column has no nulls.
        before: Text before each object.
        after: Text after each object.
    """
    pieces = [_text(f"{before}{{")]
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        lead = _text(f"{', ' if len(pieces) > 1 else ''}{dump(name).decode()}: ")
        text = to_json_text(column)
        if text.null_count == len(text):
            continue
        if text.null_count:
            pieces.append(pc.fill_null(_joined(lead, text), _text("")))
        else:
            pieces += [lead, text]
    rows = _joined(*pieces, _text(f"}}{after}"))
    offsets, text = rows.buffers()[1:]
    ends = memoryview(offsets).cast("i")
    begin, end = ends[rows.offset], ends[rows.offset + len(rows)]
    found: bytes = text.slice(begin, end - begin).to_pybytes()
    return found
