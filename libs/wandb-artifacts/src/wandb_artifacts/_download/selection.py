"""Selections of the runs of a project, validated before any work starts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone

from wandb_artifacts._download.results import LIVE_STATES
from wandb_artifacts._errors import InvalidValueError

STATES = tuple(sorted({*LIVE_STATES, "finished", "failed", "crashed", "killed", "preempted"}))


@dataclass(frozen=True)
class Selection:
    """The runs of a project that a call is about."""

    filters: dict[str, object]
    """In W&B's form; empty for all."""
    given: dict[str, object] | None
    """The part of them that the user wrote."""
    limit: int | None


def make_selection(
    *,
    filters: Mapping[str, object] | None,
    tags: Sequence[str] | None,
    states: Sequence[str] | None,
    group: str | None,
    job_type: str | None,
    created_after: datetime | date | str | None,
    created_before: datetime | date | str | None,
    limit: int | None,
) -> Selection:
    """Validate the selection of a call.

    Raises:
        InvalidValueError: One of the values is invalid.
    """
    given = _check_filters(filters)
    conditions: dict[str, object] = {
        "tags": _any_of(_texts("tags", tags)),
        "state": _any_of(_states(states)),
        "group": _text("group", group),
        "jobType": _text("job_type", job_type),
        "createdAt": _period(created_after, created_before),
    }
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InvalidValueError(field="limit", value=limit, reason="must be 1 or more runs, or None for all")
    parts = [given] if given else []
    parts += [{key: condition} for key, condition in conditions.items() if condition]
    return Selection({} if not parts else parts[0] if len(parts) == 1 else {"$and": parts}, given or None, limit)


def _check_filters(value: Mapping[str, object] | None) -> dict[str, object]:
    reason = "must be a dictionary in the form of wandb.Api().runs(), such as {'config.lr': {'$gt': 0.1}}"
    if value is not None and (not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value)):
        raise InvalidValueError(field="filters", value=value, reason=reason)
    found = dict(value or {})
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        reason = f"cannot be encoded as JSON: {error}"
        raise InvalidValueError(field="filters", value=value, reason=reason) from None
    return found


def _any_of(values: list[str] | None) -> dict[str, object] | None:
    return {"$in": values} if values else None


def _text(field: str, value: str | None) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidValueError(field, value, "must be a string that is not empty, or None for all")
    return value


def _texts(field: str, value: Sequence[str] | None) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
        raise InvalidValueError(field, value, f"must be a list of strings, such as [{str(value)!r}]")
    if not value:
        raise InvalidValueError(field, value, "must not be empty; pass None for all")
    if wrong := [each for each in value if not isinstance(each, str) or not each]:
        raise InvalidValueError(field, wrong[0], "must be a string that is not empty")
    return list(value)


def _states(value: Sequence[str] | None) -> list[str] | None:
    found = _texts("states", value)
    if unknown := [state for state in found or () if state not in STATES]:
        reason = f"is not a state of a run; use {', '.join(STATES)}"
        raise InvalidValueError(field="states", value=unknown[0], reason=reason)
    return found


def _period(after: datetime | date | str | None, before: datetime | date | str | None) -> dict[str, str]:
    first, last = _moment("created_after", after), _moment("created_before", before)
    if first and last and first > last:
        reason = f"is later than created_before={before!r}; swap them"
        raise InvalidValueError(field="created_after", value=after, reason=reason)
    return {operator: _iso(moment) for operator, moment in (("$gte", first), ("$lte", last)) if moment}


def _moment(field: str, value: datetime | date | str | None) -> datetime | None:
    if value is None:
        return None
    found = _parse(value)
    if found is None:
        reason = "must be an ISO 8601 date or time, such as 2026-01-31 or 2026-01-31T09:00Z"
        raise InvalidValueError(field, value, reason)
    try:
        return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidValueError(field, value, "is out of range; use a time from year 1 to 9999 in UTC") from None


def _parse(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    try:
        # Python 3.10 does not read the Z.
        return datetime.fromisoformat(value.strip().replace("Z", "+00:00")) if isinstance(value, str) else None
    except ValueError:
        return None


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
