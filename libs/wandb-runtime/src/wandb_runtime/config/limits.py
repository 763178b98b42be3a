"""W&B's limits on the names of runs and what belongs to them.

What W&B refuses, or accepts and then loses, is refused where it is written.

| field | limit | source |
|---|---|---|
| `tags` | 1 to 64 characters each | W&B's error text, github.com/wandb/wandb/issues/4208 |
| `job_type` | 1 to 64 characters | W&B's error text, github.com/wandb/wandb/issues/6402 |
| `name` | 1 to 128 characters | W&B's error text, github.com/NVIDIA-NeMo/Skills/issues/842 |
| `project`, `id` | 1 to 128 characters | documentation and checks of `wandb.init` |
| `id` | no white space, `%`, `.`, `..` | the SDK does not encode them in URLs: such a run loses its rows |
| `project` | not `.` or `..` | as above |
| `entity` | letters, digits, `-`, `_`, `.` | W&B's sign-up form of users and teams |
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from wandb_artifacts import InvalidValueError, check_entity, check_id, check_project

LONGEST: Final = {"entity": 128, "id": 128, "job_type": 64, "name": 128, "project": 128, "tag": 64}
"""The largest number of characters, by field."""

_DIGEST = 8


def check_text(field: str, value: object) -> str:
    """Require a string that is not empty, and at most as long as W&B accepts for the field, if it has a limit."""
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidValueError(field, value, "must not be empty; omit it to use the default")
    return _check_length(field, value, LONGEST.get(field.rpartition("wandb_")[2]))


def _check_length(field: str, value: str, longest: int | None) -> str:
    if longest is not None and len(value) > longest:
        reason = f"has {len(value)} characters; W&B accepts at most {longest}, shorten it"
        raise InvalidValueError(field, value, reason)
    return value


def check_run_id(field: str, value: str) -> str:
    """Require the id of a run."""
    check_id(value, field=field)
    _refuse_dots(field, value)
    if found := re.search(r"[\s%]", value):
        reason = f"must not contain {found[0]!r}, W&B would lose the run's data; replace it, for example with '-'"
        raise InvalidValueError(field, value, reason)
    return value


def check_project_name(field: str, value: str) -> str:
    """Require the name of a project."""
    _refuse_dots(field, check_project(value, field=field))
    return value


def check_entity_name(field: str, value: str) -> str:
    """Require the name of a user or team."""
    check_entity(value, field=field)
    if not re.fullmatch(r"[\w.-]+", value, flags=re.ASCII):
        reason = "names of users and teams have letters, digits, '-', '_' and '.' only; copy it from a page's URL"
        raise InvalidValueError(field, value, reason)
    return value


def _refuse_dots(field: str, value: str) -> None:
    if value in (".", ".."):
        raise InvalidValueError(
            field, value, "has a meaning in URLs, W&B would lose the run's data; choose another one"
        )


def check_tags(field: str, value: Sequence[str]) -> list[str]:
    """Require tags; returns a list."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidValueError(field, value, "must be a list of strings")
    return [_check_tag(f"{field}[{index}]", tag) for index, tag in enumerate(value)]


def _check_tag(field: str, tag: object) -> str:
    if not isinstance(tag, str):
        raise InvalidValueError(field, tag, f"must be a string, not {type(tag).__name__}")
    if not 1 <= len(tag) <= LONGEST["tag"]:
        reason = f"W&B accepts tags of 1 to {LONGEST['tag']} characters, this one has {len(tag)}; change it"
        raise InvalidValueError(field, tag, reason)
    return tag


def shorten(field: str, value: str) -> str:
    """Return a default value cut to W&B's limit, with a suffix that distinguishes it from others with its beginning."""
    longest = LONGEST[field]
    if len(value) <= longest:
        return value
    suffix = hashlib.sha256(value.encode()).hexdigest()[:_DIGEST]
    return f"{value[: longest - _DIGEST - 1]}-{suffix}"
