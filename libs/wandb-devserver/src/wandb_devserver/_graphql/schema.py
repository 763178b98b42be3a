"""The executable schema: the files in `schema/`, bound to their resolvers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ariadne import load_schema_from_path, make_executable_schema

from wandb_devserver._graphql import (
    _artifact_writes,
    _artifacts,
    _collections,
    _files,
    _history,
    _projects,
    _run_fields,
    _runs,
    _sweep_writes,
    _sweeps,
    _viewer,
)
from wandb_devserver._graphql._scalars import SCALARS

if TYPE_CHECKING:
    from enum import Enum

    from ariadne import SchemaBindable
    from graphql import GraphQLSchema

SCHEMA_FOLDER = Path(__file__).parent / "schema"

_NOUNS = (
    _viewer,
    _projects,
    _runs,
    _run_fields,
    _history,
    _files,
    _artifacts,
    _artifact_writes,
    _collections,
    _sweeps,
    _sweep_writes,
)


@cache
def schema() -> GraphQLSchema:
    bindables: list[SchemaBindable | type[Enum]] = [*SCALARS]
    for noun in _NOUNS:
        bindables += noun.BINDABLES
    # camelCase in the API, snake_case in Python.
    return make_executable_schema(load_schema_from_path(str(SCHEMA_FOLDER)), bindables, convert_names_case=True)
