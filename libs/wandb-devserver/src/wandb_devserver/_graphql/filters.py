"""MongoDB-style filters of the public API, compiled to predicates on runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeAlias

from wandb_devserver._documents import Missing, lookup, lookup_config
from wandb_devserver._errors import UsageError
from wandb_devserver._graphql.patterns import compile_pattern
from wandb_devserver._json import Json, loads, loads_object
from wandb_devserver._times import from_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Predicate: TypeAlias = Callable[[Any], bool]
    ValuePredicate: TypeAlias = Callable[["Json | Missing"], bool]
    Field: TypeAlias = Callable[[Any], "Json | Missing"]

RUN_FIELDS: dict[str, Field] = {
    "name": lambda run: run.name,
    "display_name": lambda run: run.display_name,
    "state": lambda run: run.state,
    "group": lambda run: run.group_name,
    "job_type": lambda run: run.job_type,
    "sweep": lambda run: run.sweep_name,
    "tags": lambda run: list[Json](run.tags),
    "notes": lambda run: run.notes,
    "description": lambda run: run.description,
    "commit": lambda run: run.commit_hash,
    "host": lambda run: run.host,
    "username": lambda run: run.entity,
    "entity": lambda run: run.entity,
    "duration": lambda run: int(run.heartbeat_at) - int(run.created_at),
    "created_at": lambda run: int(run.created_at),
    "heartbeat_at": lambda run: int(run.heartbeat_at),
}
PROJECT_FIELDS: dict[str, Field] = {
    "name": lambda project: project.name,
    "description": lambda project: project.description,
    "created_at": lambda project: int(project.created_at),
    "updated_at": lambda project: int(project.created_at),
}
COLLECTION_FIELDS: dict[str, Field] = {
    "name": lambda collection: collection.name,
    "type": lambda collection: collection.type,
    "description": lambda collection: collection.description,
    "created_at": lambda collection: int(collection.created_at),
    "updated_at": lambda collection: int(collection.updated_at),
}
ARTIFACT_FIELDS: dict[str, Field] = {
    "state": lambda version: version[1].state,
    "tag": lambda version: list[Json](version[1].tags),
    "version": lambda version: f"v{version[0].version}",
    "version_index": lambda version: version[0].version,
    "digest": lambda version: version[1].digest,
    "created_at": lambda version: int(version[0].created_at),
    "updated_at": lambda version: int(version[1].updated_at),
}
SWEEP_FIELDS: dict[str, Field] = {
    "name": lambda sweep: sweep.name,
    "display_name": lambda sweep: sweep.title,
    "description": lambda sweep: sweep.description,
    "state": lambda sweep: sweep.state,
    "created_at": lambda sweep: int(sweep.created_at),
    "updated_at": lambda sweep: int(sweep.updated_at),
}
_ALIASES = {
    "displayName": "display_name",
    "jobType": "job_type",
    "sweepName": "sweep",
    "createdAt": "created_at",
    "heartbeatAt": "heartbeat_at",
    "updatedAt": "updated_at",
    "versionIndex": "version_index",
    "tags.name": "tag",
    "user.username": "username",
}
TIME_LIMIT = 10.0
"""Seconds in which a filter must have seen all items: it holds one of the threads that serve all clients."""

_MAX_KEY = 1000
_MOMENTS = ("created_at", "heartbeat_at", "updated_at")


def parse_filters(text: str | None, fields: Mapping[str, Field] = RUN_FIELDS) -> Predicate | None:
    """Parse the `filters` of a request; None when every item matches.

    Raises:
        UsageError: if they are not a supported filter; the message names the unknown part.
    """
    value = loads(text) if text else None
    if not value:
        return None
    return _bounded(_parse(value, fields))


def _bounded(matches: Predicate) -> Predicate:
    deadline = time.monotonic() + TIME_LIMIT

    def matches_in_time(item: object) -> bool:
        if time.monotonic() > deadline:
            msg = f"the filter was stopped after {TIME_LIMIT} s: make it simpler"
            raise UsageError(msg)
        return matches(item)

    return matches_in_time


def _parse(value: Json, fields: Mapping[str, Field]) -> Predicate:
    if not isinstance(value, dict):
        msg = f"a filter is an object such as {{'state': 'finished'}}, not {value!r}"
        raise UsageError(msg)
    parts = [_parse_entry(key, operand, fields) for key, operand in value.items()]
    return lambda run: all(part(run) for part in parts)


def _parse_entry(key: str, operand: Json, fields: Mapping[str, Field]) -> Predicate:
    if not key.startswith("$"):
        field, matches = _field(key, fields), _condition(key, operand)
        return lambda run: matches(field(run))
    if key == "$not":
        inner = _parse(operand, fields)
        return lambda run: not inner(run)
    if key not in ("$and", "$or", "$nor") or not isinstance(operand, list):
        msg = f"unknown filter {key}: {operand!r}: use $and, $or and $nor with a list, $not with a filter"
        raise UsageError(msg)
    parts = [_parse(item, fields) for item in operand]
    if key == "$and":
        return lambda run: all(part(run) for part in parts)
    if key == "$nor":
        return lambda run: not any(part(run) for part in parts)
    # The SDK sends an empty $or for "no condition".
    return lambda run: not parts or any(part(run) for part in parts)


def _field(key: str, fields: Mapping[str, Field]) -> Field:
    name = key if key in fields else _ALIASES.get(key, key)
    if name in fields:
        return fields[name]
    if len(key) > _MAX_KEY:
        msg = f"a filter key has {len(key)} characters: at most {_MAX_KEY} are accepted"
        raise UsageError(msg)
    part, _, path = key.partition(".")
    if fields is not RUN_FIELDS:
        path = ""
    if part == "config" and path:
        return lambda run: lookup_config(loads_object(run.config), path)
    if part in ("summary_metrics", "summaryMetrics", "summary") and path:
        return lambda run: lookup(loads_object(run.summary), path)
    known = ", ".join(sorted(fields)) + (", config.<key>, summary_metrics.<key>" if fields is RUN_FIELDS else "")
    msg = f"unknown filter key {key!r}: use one of {known}"
    raise UsageError(msg)


def _condition(key: str, operand: Json) -> ValuePredicate:
    if not isinstance(operand, dict) or not any(name.startswith("$") for name in operand):
        return _OPERATORS["$eq"](_operand(key, operand))
    parts = [_operation(key, name, item) for name, item in operand.items()]
    return lambda value: all(part(value) for part in parts)


def _operation(key: str, name: str, operand: Json) -> ValuePredicate:
    if name == "$not":
        inner = _condition(key, operand)
        return lambda value: not inner(value)
    if name not in _OPERATORS:
        msg = f"unknown filter operator {name!r} for {key!r}: use one of $not, {', '.join(_OPERATORS)}"
        raise UsageError(msg)
    return _OPERATORS[name](operand if name in ("$exists", "$regex") else _operand(key, operand))


def _operand(key: str, operand: Json) -> Json:
    if isinstance(operand, list):
        return [_operand(key, item) for item in operand]
    if _ALIASES.get(key, key) in _MOMENTS and isinstance(operand, str):
        try:
            return int(from_iso(operand))
        except ValueError as error:
            msg = f"filter on {key!r} by {operand!r}: use an ISO 8601 date or time"
            raise UsageError(msg) from error
    return operand


def _equals(value: Json | Missing, operand: Json) -> bool:
    if isinstance(value, Missing):
        return operand is None
    if isinstance(value, list) and not isinstance(operand, list):
        return any(_equals(item, operand) for item in value)
    # Python takes True for 1; JSON does not.
    return isinstance(value, bool) == isinstance(operand, bool) and value == operand


def _compare(test: Callable[[float | str, float | str], bool]) -> Callable[[Json], ValuePredicate]:
    def operator(operand: Json) -> ValuePredicate:
        def matches(value: Json | Missing) -> bool:
            if isinstance(value, (int, float)) and isinstance(operand, (int, float)):
                return test(value, operand)
            if isinstance(value, str) and isinstance(operand, str):
                return test(value, operand)
            return False

        return matches

    return operator


def _is_in(operand: Json) -> ValuePredicate:
    if not isinstance(operand, list):
        msg = f"$in and $nin take a list, not {operand!r}"
        raise UsageError(msg)
    return lambda value: any(_equals(value, item) for item in operand)


def _exists(operand: Json) -> ValuePredicate:
    return lambda value: (not isinstance(value, Missing) and value is not None) == bool(operand)


def _matches_pattern(operand: Json) -> ValuePredicate:
    matches = compile_pattern(operand)
    return lambda value: any(isinstance(item, str) and matches(item) for item in _items(value))


def _contains(operand: Json) -> ValuePredicate:
    return lambda value: any(isinstance(item, str) and str(operand) in item for item in _items(value))


def _items(value: Json | Missing) -> list[Json | Missing]:
    return [*value] if isinstance(value, list) else [value]


def _negated(operator: Callable[[Json], ValuePredicate], operand: Json) -> ValuePredicate:
    inner = operator(operand)
    return lambda value: not inner(value)


def _equal_to(operand: Json) -> ValuePredicate:
    return lambda value: _equals(value, operand)


_OPERATORS: dict[str, Callable[[Json], ValuePredicate]] = {
    "$eq": _equal_to,
    "$ne": lambda operand: _negated(_equal_to, operand),
    "$gt": _compare(lambda value, operand: value > operand),  # type: ignore[operator]
    "$gte": _compare(lambda value, operand: value >= operand),  # type: ignore[operator]
    "$lt": _compare(lambda value, operand: value < operand),  # type: ignore[operator]
    "$lte": _compare(lambda value, operand: value <= operand),  # type: ignore[operator]
    "$in": _is_in,
    "$nin": lambda operand: _negated(_is_in, operand),
    "$exists": _exists,
    "$regex": _matches_pattern,
    "$contains": _contains,
}
