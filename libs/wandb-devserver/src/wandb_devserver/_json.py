"""JSON as W&B clients write it (bare `NaN`, `Infinity`), and strict JSON for other clients."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import TypeAlias, TypeGuard

from wandb_devserver._complexity import check_complexity
from wandb_devserver._errors import UsageError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = "dict[str, Json]"
"""A JSON object, such as one history row."""


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_INTEGER = 2**63 - 1


def loads(text: str | bytes) -> Json:
    """Parse a stored document, also accepting bare `NaN`, `Infinity` and `-Infinity`.

    Lone surrogates, which Python writes and no text can hold, become U+FFFD as in Go, hence at W&B.

    Raises:
        ValueError: if it is not JSON, or too complex.
    """
    value = _parse(_decoded(text))
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(_decoded(text)) else value


def loads_request(body: bytes) -> JsonObject:
    """Parse the body of a request, which must be an object.

    Raises:
        UsageError: otherwise, or if a text in it holds lone surrogates; the message states what is wrong.
    """
    try:
        text = _decoded(body)
        value = _parse(text)
    except UsageError:
        raise
    except (ValueError, RecursionError) as error:
        msg = f"the body is not JSON: {error}"
        raise UsageError(msg) from error
    if not isinstance(value, dict):
        msg = f"the body is not a JSON object but a {type(value).__name__}"
        raise UsageError(msg)
    if _SURROGATE_ESCAPE.search(text) and (lone := _LONE_SURROGATE.search(dumps(value))):
        msg = f"the body holds text with the lone surrogate {lone[0]!r}, which is not valid Unicode"
        raise UsageError(msg)
    return value


def _decoded(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8")


def _parse(text: str) -> Json:
    check_complexity(text)
    value: Json = json.loads(text)
    return value


def _without_surrogates(value: Json) -> Json:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_LONE_SURROGATE.sub("\ufffd", key): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value


def loads_object(text: str | bytes | None) -> JsonObject:
    """Parse a JSON object; anything else, nothing and broken JSON count as an empty object."""
    try:
        value = loads(text) if text else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def dumps(value: Json) -> str:
    """Write JSON that keeps non-finite numbers, for storage."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def dumps_strict(value: Json) -> str:
    """Write JSON that any parser reads: non-finite numbers become the strings W&B uses for them."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(strict(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def strict(value: Json) -> Json:
    """Return `value` with every non-finite number replaced by the string W&B uses for it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [strict(item) for item in value]
    return value


def strict_text(text: str) -> str:
    """Return stored JSON text as strict JSON, parsing it only when that can change something."""
    if "NaN" in text or "Infinity" in text:
        return dumps_strict(loads(text))
    return text


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether `value` is a finite number that fits a double; a boolean is not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


def is_int64(value: object) -> TypeGuard[int]:
    """Whether `value` is a whole number of 64 bits, the largest that can be stored; a boolean is not."""
    return isinstance(value, int) and not isinstance(value, bool) and -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER
