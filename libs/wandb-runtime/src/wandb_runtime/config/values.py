"""Values of a run's config and settings, in the form in which the wandb SDK stores them, without credentials."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wandb_artifacts import InvalidValueError

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
    "contains a credential, which everybody with access to the run could read; remove it, and set {variable} (in a "
    "remote task by a flyte.Secret)"
)

# Types that JSON carries unchanged. Not their subclasses: a numpy.float64 is a float, an IntEnum an int.
_JSON_SCALARS = frozenset({bool, int, str, type(None)})


def config_values(field: str, value: object) -> dict[str, Any]:
    """Require what `wandb.init(config=...)` takes: a mapping, or an object with attributes.

    Returns:
        The values as W&B stores them.
    """
    checked: dict[str, Any] = json_value(field, _as_dict(field, value))
    refuse_credentials(field, checked)
    return checked


def _as_dict(field: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        given = dict(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        given = dict(vars(value))
    else:
        raise InvalidValueError(field, _shown(value), f"must be a dictionary, not {type(value).__name__}")
    for key in given:
        if not isinstance(key, str):
            raise InvalidValueError(field, key, f"is a key of type {type(key).__name__}; keys must be strings")
    return given


def _shown(value: object) -> object:
    """Return a value for an error; None for one that may hold anything."""
    return value if type(value) in _JSON_SCALARS else None


def json_value(field: str, value: object) -> Any:
    """Return a deep copy in the form in which the wandb SDK stores a value of the config.

    Raises:
        InvalidValueError: The SDK cannot store it, or would silently store only a description of it; the error names
            the path of the value.
    """
    if type(value) in _JSON_SCALARS:
        return value
    if type(value) is float:
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {_key(field, key): json_value(f"{field}[{key!r}]", item) for key, item in value.items()}
    if isinstance(value, (Sequence, set)) and not isinstance(value, (str, bytes)):
        return [json_value(f"{field}[{index}]", item) for index, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: json_value(f"{field}.{item.name}", getattr(value, item.name))
            for item in dataclasses.fields(value)
        }
    return _sdk_value(field, value)


def _key(field: str, key: object) -> str:
    if isinstance(key, str):
        return key
    if key is None:
        return "None"
    if isinstance(key, (bool, int, float)):
        return str(next(iter(json.loads(json.dumps({key: None})))))
    raise InvalidValueError(field, None, f"has a key of type {type(key).__name__}; use strings")


def _sdk_value(field: str, value: object) -> Any:
    """Convert a value that is not JSON by the SDK's own functions."""
    kind = type(value)
    if not callable(value) and kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise InvalidValueError(
            field, None, f"W&B would store only a description of this {kind.__name__}; give its values"
        )
    try:
        # Imported only for such values: it takes long.
        from wandb.util import json_dumps_safer, json_friendly, json_friendly_val

        stored = json.loads(json_dumps_safer(json_friendly(json_friendly_val(value))[0]))
    except Exception as error:
        reason = f"{kind.__name__} cannot be stored by W&B; give a number, a string, a list or a dictionary"
        raise InvalidValueError(field, None, reason) from error
    if isinstance(stored, str) and hasattr(value, "__array__") and getattr(value, "ndim", True) and _size(value) != 1:
        raise InvalidValueError(field, None, f"W&B would store only a summary of this {kind.__name__}; give .tolist()")
    return stored


def _size(value: object) -> object:
    return getattr(value, "size", None)


def mapping(field: str, value: object) -> dict[str, Any]:
    """Require a JSON object without credentials. Tuples become lists, as they do in W&B."""
    if not isinstance(value, Mapping):
        raise InvalidValueError(field, _shown(value), f"must be a dictionary, not {type(value).__name__}")
    return config_values(field, value)


def settings(field: str, value: Any) -> dict[str, Any]:
    """Require `wandb.Settings`, or a dictionary of its fields; only the fields that were set are kept."""
    names = getattr(value, "model_fields_set", None)
    checked = mapping(field, value if names is None else {name: getattr(value, name) for name in sorted(names)})
    _refuse_connection_secrets(field, checked)
    _refuse_unknown_settings(field, checked)
    return checked


def _refuse_unknown_settings(field: str, value: Mapping[str, Any]) -> None:
    if not value:
        return
    import difflib

    from wandb import Settings

    for name in value.keys() - Settings.model_fields.keys():
        close = difflib.get_close_matches(name, Settings.model_fields, n=1)
        hint = f"did you mean {close[0]}?" if close else "see the attributes of wandb.Settings"
        path = f"{field}[{name!r}]"
        raise InvalidValueError(path, None, f"is not one of W&B's settings; {hint}")


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


def is_credential(name: str, value: object) -> bool:
    """Return whether an entry is a credential, by its name or because it contains the API key."""
    if not isinstance(value, str) or not value:
        return False
    api_key = os.environ.get("WANDB_API_KEY")
    return name.lower() in _CREDENTIAL_NAMES or bool(api_key and api_key in value)


def refuse_credentials(field: str, value: object) -> None:
    """Raise if a value is a credential: W&B and Flyte would show it to everybody who can see the run."""
    for path, name, text in _texts(field, "", value):
        if is_credential(name, text):
            reason = (
                "looks like a credential, which everybody with access to the run could read; "
                "remove it, and pass it in an environment variable or flyte.Secret"
            )
            raise InvalidValueError(path, None, reason)


def _texts(path: str, name: str, value: object) -> Iterator[tuple[str, str, str]]:
    """Yield path, nearest key and content of each string."""
    if isinstance(value, str):
        yield path, name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(f"{path}[{key!r}]", str(key), item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _texts(f"{path}[{index}]", "", item)
