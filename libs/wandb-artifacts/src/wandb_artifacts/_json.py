"""Strict JSON: W&B stores what Python's encoder writes, NaN and Infinity included."""

from __future__ import annotations

import json
import math
from typing import Any

MISSING_NUMBERS = ("NaN", "Infinity", "-Infinity")
"""Numbers that JSON lacks: as bare words, as Python writes them, or as strings, as W&B's API returns them."""


def to_strict(value: Any) -> Any:
    """Return the value with None in place of every number that JSON lacks, at any depth."""
    if isinstance(value, dict):
        return {key: to_strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_strict(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if isinstance(value, str) and value in MISSING_NUMBERS else value


def dump(value: Any, *, indent: int | None = None) -> bytes:
    """Encode a value as strict JSON in UTF-8."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can escape and UTF-8 cannot encode.
        return json.dumps(value, indent=indent, allow_nan=False).encode()
