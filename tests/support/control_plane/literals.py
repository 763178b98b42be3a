"""Literals of the wire protocol as plain Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flyteidl2.core.literals_pb2 import Literal, Primitive


def to_python(literal: Literal) -> object:
    """Convert simple values, lists and maps; files and directories become URIs, anything else stays a message."""
    kind = literal.WhichOneof("value")
    if kind == "collection":
        return [to_python(item) for item in literal.collection.literals]
    if kind == "map":
        return {name: to_python(item) for name, item in literal.map.literals.items()}
    scalar = literal.scalar.WhichOneof("value")
    if scalar == "primitive":
        return _primitive(literal.scalar.primitive)
    if scalar == "none_type":
        return None
    if scalar == "union":
        return to_python(literal.scalar.union.value)
    return literal.scalar.blob.uri if scalar == "blob" else literal


def _primitive(primitive: Primitive) -> object:
    kind = primitive.WhichOneof("value")
    if kind == "datetime":
        return primitive.datetime.ToDatetime()
    if kind == "duration":
        return primitive.duration.ToTimedelta()
    return getattr(primitive, kind) if kind else None
