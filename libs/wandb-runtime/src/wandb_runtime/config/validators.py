"""Validators for the fields of a configuration.

Each takes the name of a field and the given value, and returns the value as it is carried, or raises
`InvalidValueError` with the name, the value and what to do.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from wandb_artifacts import InvalidValueError

Validator = Callable[[str, Any], Any]
"""Takes the name of a field and the given value; returns the value to carry."""


def from_function(check: Callable[..., str]) -> Validator:
    """Make a validator of a `check_*` function of wandb-artifacts."""

    def validate(field: str, value: object) -> str:
        return check(value, field=field)

    return validate


def string(field: str, value: object) -> str:
    """Require a string."""
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    return value


def boolean(field: str, value: object) -> bool:
    """Require True or False."""
    if not isinstance(value, bool):
        raise InvalidValueError(field, value, f"must be True or False, not {type(value).__name__}")
    return value


def path(field: str, value: str | os.PathLike[str]) -> str:
    """Require a path; returns a string."""
    return string(field, os.fspath(value) if isinstance(value, os.PathLike) else value)


def seconds(field: str, value: object) -> float:
    """Require a finite number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise InvalidValueError(field, value, "must be a number of seconds above 0")
    return value


def one_of(*choices: object) -> Validator:
    """Make a validator that accepts only these values."""

    def validate(field: str, value: object) -> object:
        # `in` alone would accept 1 for True.
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            known = ", ".join(repr(choice) for choice in choices)
            raise InvalidValueError(field, value, f"must be one of {known}")
        return value

    return validate


def run_moment(field: str, value: object) -> str:
    """Require a step of a run, as `resume_from` and `fork_from` take it."""
    text = string(field, value)
    if not re.fullmatch(r"[^\s/?#]+\?_step=\d+(\.\d+)?", text):
        raise InvalidValueError(field, value, 'must name a run and a step, such as "abc123?_step=100"')
    return text


def string_list(field: str, value: Sequence[str]) -> list[str]:
    """Require a sequence of strings; returns a list."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidValueError(field, value, "must be a list of strings")
    return [string(f"{field}[{index}]", item) for index, item in enumerate(value)]
