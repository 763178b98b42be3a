"""Bounds on JSON, checked on the text: before any value takes memory, or recursion its stack."""

from __future__ import annotations

import re
from itertools import accumulate

from wandb_devserver._errors import UsageError

MAX_DEPTH = 128
"""Levels of nesting. Everything that handles documents recursively takes this many."""

MAX_ELEMENTS = 1_000_000
"""Elements of all lists and objects together. As Python objects they take up to 100 MB."""

_STRINGS = re.compile(r'"[^"]*"')
_NO_BRACKETS = re.compile(r"[^\[\]{}]+")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


class TooComplexError(UsageError):
    """JSON that is nested too deeply or has too many elements."""


def check_complexity(text: str) -> None:
    """Check that parsing `text` takes bounded memory and stack.

    Raises:
        TooComplexError: otherwise.
    """
    # Counts characters in strings too: most texts are within the bounds by far.
    if _openings(text) <= MAX_DEPTH and text.count(",") < MAX_ELEMENTS:
        return
    # Without escapes, every quote begins or ends a string.
    structure = _STRINGS.sub("", text.replace("\\\\", "").replace('\\"', ""))
    elements = structure.count(",") + _openings(structure)
    if elements > MAX_ELEMENTS:
        msg = f"the JSON has about {elements} elements: at most {MAX_ELEMENTS} are accepted"
        raise TooComplexError(msg)
    depth = max(accumulate(_STEPS[bracket] for bracket in _NO_BRACKETS.sub("", structure)), default=0)
    if depth > MAX_DEPTH:
        msg = f"the JSON is nested {depth} levels deep: at most {MAX_DEPTH} are accepted"
        raise TooComplexError(msg)


def _openings(text: str) -> int:
    return text.count("[") + text.count("{")
