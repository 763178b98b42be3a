"""JSON as W&B clients write it (bare `NaN`, `Infinity`), and strict JSON for other clients."""

from __future__ import annotations

import json
import math
from typing import TypeAlias, TypeGuard

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = "dict[str, Json]"
"""A JSON object, such as one history row."""


def loads(text: str | bytes) -> Json:
    """Parse JSON, also accepting bare `NaN`, `Infinity` and `-Infinity`."""
    value: Json = json.loads(text)
    return value


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
    """Return whether `value` is a finite number; booleans are not numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
