"""JSON as its standard has it: W&B keeps what Python's encoder writes, NaN and Infinity included."""

from __future__ import annotations

import json
import math
from typing import Any

_NAMES = frozenset({"NaN", "Infinity", "-Infinity"})
"""What W&B's API gives in the place of numbers that JSON lacks."""


def strict(value: Any) -> Any:
    """The value with None for every number that JSON lacks, at any depth."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [strict(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if isinstance(value, str) and value in _NAMES else value


def dump(value: Any, *, indent: int | None = None) -> bytes:
    """The value as strict JSON in UTF-8."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can escape and UTF-8 cannot hold.
        return json.dumps(value, indent=indent, allow_nan=False).encode()
