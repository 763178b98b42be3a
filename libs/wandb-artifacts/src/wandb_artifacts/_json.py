"""Strict JSON: W&B stores what Python's encoder writes, NaN and Infinity included."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from wandb_artifacts._errors import ServerAnswerError

_NAMES = ("NaN", "Infinity", "-Infinity")
"""Numbers that JSON lacks: as bare words, as Python writes them, or as strings, as W&B's API returns them."""

_VALUES = tuple((f':{space}"{name}"', f":{space}null") for name in _NAMES for space in ("", " "))
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|-?Infinity|NaN', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")


def to_strict(value: Any) -> Any:
    """Return the value with None in place of every number that JSON lacks, at any depth."""
    if isinstance(value, dict):
        return {key: to_strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_strict(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if isinstance(value, str) and value in _NAMES else value


def dump(value: Any, *, indent: int | None = None) -> bytes:
    """Encode a value as strict JSON in UTF-8."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can escape and UTF-8 cannot encode.
        return json.dumps(value, indent=indent, allow_nan=False).encode()


def strict_rows(rows: list[str]) -> list[str]:
    """Return the rows with null for every number that JSON lacks, each on one line; other text is unchanged.

    Raises:
        ServerAnswerError: A row is not a JSON object.
    """
    # Checking a whole page takes a tenth of the time of checking each row.
    try:
        text = "".join(rows)
    except TypeError:
        bad = next(row for row in rows if not isinstance(row, str))
        raise _refusal(bad) from None
    if not all(row[:1] == "{" and row[-1:] == "}" for row in rows) or not _is_clean(text):
        return [row if _is_clean_object(row) else _strict(row) for row in rows]
    return rows


def _is_clean(text: str) -> bool:
    return "NaN" not in text and "Infinity" not in text and (text.isprintable() or not _CONTROL.search(text))


def _is_clean_object(row: str) -> bool:
    return row[:1] == "{" and row[-1:] == "}" and _is_clean(row)


def _strict(row: str) -> str:
    # The common case: a quote after a colon begins a value, because a quote inside a string would be escaped.
    for old, new in _VALUES:
        row = row.replace(old, new)
    return row if _is_clean_object(row) else _strict_tokens(row)


def _strict_tokens(row: str) -> str:
    found = _TOKEN.sub(_replace, row).strip()
    if not found.startswith("{"):
        raise _refusal(row)
    try:
        _DECODER.decode(found)
    except (ValueError, RecursionError):
        raise _refusal(row) from None
    # Remaining control characters are between tokens; without them, a row is one line.
    return _CONTROL.sub(" ", found)


def _replace(match: re.Match[str]) -> str:
    text, colon = match.groups()
    if text is None:
        return "null"
    return "null" if colon is None and text[1:-1] in _NAMES else match[0]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# Numbers remain text: they are only checked, and Python refuses to parse integers of thousands of digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


def _refusal(row: object) -> ServerAnswerError:
    return ServerAnswerError(f"a row of the history is not a JSON object: {str(row)[:80]!r}")
