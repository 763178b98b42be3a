"""What W&B accepts as a name.

The rules are those of the SDK (a `UsageError` from `wandb.init`) and, for the length of an id, of W&B's documentation
of `wandb.init(id=...)`. Checking them here refuses a bad name before a task starts, not in its middle.
"""

from __future__ import annotations

from wandb_artifacts._errors import InvalidValueError

_ID_FORBIDDEN = ":;,#?/'"
_PROJECT_FORBIDDEN = "/\\#?%:"
_MAX_LENGTH = 128


def check_id(value: str, *, field: str = "id") -> str:
    """Returns `value` if W&B accepts it as the id of a run or sweep.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or holds a character W&B refuses.
    """
    return _check(value, field=field, forbidden=_ID_FORBIDDEN)


def check_project(value: str, *, field: str = "project") -> str:
    """Returns `value` if W&B accepts it as the name of a project.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or holds a character W&B refuses.
    """
    return _check(value, field=field, forbidden=_PROJECT_FORBIDDEN)


def check_entity(value: str, *, field: str = "entity") -> str:
    """Returns `value` if it can be the name of a W&B user or team.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or holds a slash.
    """
    return _check(value, field=field, forbidden="/")


def _check(value: str, *, field: str, forbidden: str) -> str:
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidValueError(field, value, "must not be empty; leave it out to use the default")
    if value != value.strip():
        raise InvalidValueError(field, value, "must not start or end with white space; strip it")
    if len(value) > _MAX_LENGTH:
        raise InvalidValueError(field, value, f"has {len(value)} characters; W&B accepts {_MAX_LENGTH}, shorten it")
    if found := sorted(set(forbidden).intersection(value)):
        characters = " ".join(found)
        raise InvalidValueError(field, value, f"W&B refuses the character(s) {characters} here; replace them, with '-'")
    return value
