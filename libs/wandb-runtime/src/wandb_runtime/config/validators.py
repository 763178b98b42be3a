"""Validators for the fields of a configuration.

Each takes the name of a field and the given value, and returns the value as it is carried, or raises
`InvalidValueError` with the name, the value and what to do.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wandb_artifacts import InvalidValueError

Validator = Callable[[str, Any], Any]
"""Takes the name of a field and the given value; returns the value to carry."""

# Compared exactly, so that `tokenizer` and `max_tokens` are not credentials.
_CREDENTIAL_NAMES = frozenset(
    {
        "access_key",
        "access_token",
        "api_key",
        "api_token",
        "apikey",
        "auth_token",
        "aws_secret_access_key",
        "bearer_token",
        "client_secret",
        "hf_token",
        "passwd",
        "password",
        "private_key",
        "refresh_token",
        "secret",
        "secret_access_key",
        "secret_key",
        "token",
        "wandb_api_key",
    }
)
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_IN_CONNECTION = (
    "holds a credential, and everybody who can see the run could read it; leave it out, and set {variable}, by a "
    "flyte.Secret in a remote task"
)
_MAX_TAG = 64
# Types that JSON carries unchanged. Not their subclasses: a numpy.float64 is a float, an IntEnum an int.
_JSON_SCALARS = frozenset({bool, float, int, str, type(None)})


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


def tags(field: str, value: Sequence[str]) -> list[str]:
    """Require tags that W&B accepts."""
    checked = string_list(field, value)
    for index, tag in enumerate(checked):
        if not 1 <= len(tag) <= _MAX_TAG:
            name = f"{field}[{index}]"
            reason = f"W&B accepts tags of 1 to {_MAX_TAG} characters, this one has {len(tag)}; change it"
            raise InvalidValueError(name, tag, reason)
    return checked


def mapping(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Require a JSON object without credentials. Tuples become lists, as they do in W&B."""
    if not isinstance(value, Mapping):
        raise InvalidValueError(field, value, f"must be a dictionary, not {type(value).__name__}")
    refuse_credentials(field, value)
    checked: dict[str, Any] = json_value(field, value)
    return checked


def settings(field: str, value: Any) -> dict[str, Any]:
    """Require `wandb.Settings`, or a dictionary of its fields; only the fields that were set are kept."""
    names = getattr(value, "model_fields_set", None)
    checked = mapping(field, value if names is None else {name: getattr(value, name) for name in sorted(names)})
    _refuse_connection_secrets(field, checked)
    return checked


def _refuse_connection_secrets(field: str, value: Mapping[str, Any]) -> None:
    """Raise if a proxy URL has a password, or a header is a credential: everybody who can see the run could read it."""
    for name in ("http_proxy", "https_proxy"):
        if "@" in str(value.get(name) or ""):
            path = f"{field}[{name!r}]"
            raise InvalidValueError(path, None, _IN_CONNECTION.format(variable=f"WANDB_{name.upper()}"))
    headers = value.get("x_extra_http_headers")
    for header in headers if isinstance(headers, Mapping) else ():
        if header.lower() in _SECRET_HEADERS:
            path = f"{field}['x_extra_http_headers'][{header!r}]"
            raise InvalidValueError(path, None, _IN_CONNECTION.format(variable="WANDB_X_EXTRA_HTTP_HEADERS"))


def json_value(field: str, value: object) -> Any:
    """Return a deep copy that JSON carries unchanged; the error names the path of a value that it cannot carry."""
    if type(value) in _JSON_SCALARS:
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                reason = f"is a key of type {type(key).__name__}; keys must be strings"
                raise InvalidValueError(field, key, reason)
        return {key: json_value(f"{field}[{key!r}]", item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(f"{field}[{index}]", item) for index, item in enumerate(value)]
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        reason = f"{type(value).__name__} cannot be carried as JSON; give a number, a string, a list or a dictionary"
        raise InvalidValueError(field, value, reason) from error


def is_credential(name: str, value: object) -> bool:
    """Return whether an entry is a credential, by its name or because it is the API key."""
    if not isinstance(value, str) or not value:
        return False
    return name.lower() in _CREDENTIAL_NAMES or value == os.environ.get("WANDB_API_KEY")


def refuse_credentials(field: str, value: Mapping[Any, Any]) -> None:
    """Raise if an entry is a credential: W&B and Flyte would show it to everybody who can see the run."""
    for key, item in value.items():
        name = f"{field}[{key!r}]"
        if isinstance(item, Mapping):
            refuse_credentials(name, item)
        elif is_credential(str(key), item):
            reason = (
                "looks like a credential, and everybody who can see the run could read it; "
                "leave it out, and pass it in an environment variable or flyte.Secret"
            )
            raise InvalidValueError(name, None, reason)
