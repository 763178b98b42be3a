"""Rows as strict JSON, without reading the many that are so already."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from wandb_artifacts._errors import ServerAnswerError

_NAMES = ("NaN", "Infinity", "-Infinity")
"""Numbers that JSON lacks: bare as Python writes them, or as strings, which is what W&B's API makes of them."""

_VALUES = tuple((f':{space}"{name}"', f":{space}null") for name in _NAMES for space in ("", " "))
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|-?Infinity|NaN', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")


def strict_rows(rows: list[str]) -> list[str]:
    """The rows with null for every number that JSON lacks, each on one line; all other text stays as it is.

    Raises:
        ServerAnswerError: One of them is no JSON object.
    """
    # One look at a whole page costs a tenth of a look at each of its rows.
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
    # The common case: a quote that follows a colon begins a value, since one within a text would be escaped.
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
    # What is left of control characters stands between tokens: a row takes one line.
    return _CONTROL.sub(" ", found)


def _replace(match: re.Match[str]) -> str:
    text, colon = match.groups()
    if text is None:
        return "null"
    return "null" if colon is None and text[1:-1] in _NAMES else match[0]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# Numbers stay text: they are only looked at, and Python refuses to read integers of many thousand digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


def _refusal(row: object) -> ServerAnswerError:
    return ServerAnswerError(f"a row of the history is no JSON object: {str(row)[:80]!r}")
