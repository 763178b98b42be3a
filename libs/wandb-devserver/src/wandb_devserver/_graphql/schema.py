"""Executable schema: the files in `sdl/`, bound to their resolvers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ariadne import ScalarType, load_schema_from_path, make_executable_schema

from wandb_devserver._complexity import check_complexity
from wandb_devserver._errors import UsageError
from wandb_devserver._graphql import (
    artifact_uploads,
    artifact_writes,
    artifacts,
    collection_writes,
    collections,
    files,
    history,
    history_exports,
    memberships,
    multipart,
    organizations,
    projects,
    registries,
    run_writes,
    runs,
    sweep_writes,
    sweeps,
    viewer,
)
from wandb_devserver._json import Json, dumps_strict, is_int64, strict_text
from wandb_devserver._times import to_iso

if TYPE_CHECKING:
    from enum import Enum

    from ariadne import SchemaBindable
    from graphql import GraphQLSchema

SCHEMA_FOLDER = Path(__file__).parent / "sdl"

json_string = ScalarType("JSONString")
json_value = ScalarType("JSON")
int64 = ScalarType("Int64")
date_time = ScalarType("DateTime")
duration = ScalarType("Duration")


@json_string.serializer
def serialize_json_string(value: Json) -> str:
    return strict_text(value) if isinstance(value, str) else dumps_strict(value)


@json_string.value_parser
def parse_json_string(value: object) -> str:
    if not isinstance(value, str):
        msg = f"a JSONString is a string that holds JSON, not {value!r}"
        raise UsageError(msg)
    check_complexity(value)
    return value


@json_value.serializer
def serialize_json(value: Json) -> Json:
    # The response as a whole is written as strict JSON.
    return value


@int64.serializer
def serialize_int64(value: int) -> int:
    return value


@int64.value_parser
def parse_int64(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str, float)):
        msg = f"an Int64 is a whole number, not {value!r}"
        raise UsageError(msg)
    number = int(value)
    if not is_int64(number):
        msg = f"an Int64 is a whole number of 64 bits, not {value!r}"
        raise UsageError(msg)
    return number


@date_time.serializer
def serialize_date_time(moment: float) -> str:
    return to_iso(moment)


SCALARS = (json_string, json_value, int64, date_time, duration)

_NOUNS = (
    viewer,
    organizations,
    registries,
    projects,
    runs,
    run_writes,
    history,
    history_exports,
    files,
    artifacts,
    artifact_uploads,
    artifact_writes,
    multipart,
    memberships,
    collections,
    collection_writes,
    sweeps,
    sweep_writes,
)


@cache
def schema() -> GraphQLSchema:
    bindables: list[SchemaBindable | type[Enum]] = [*SCALARS]
    for noun in _NOUNS:
        bindables += noun.BINDABLES
    # camelCase in the API, snake_case in Python.
    return make_executable_schema(load_schema_from_path(str(SCHEMA_FOLDER)), bindables, convert_names_case=True)
