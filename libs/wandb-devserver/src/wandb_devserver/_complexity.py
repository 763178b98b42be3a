"""Bounds on JSON, checked on the text: before any value takes memory, or recursion its stack."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate

from wandb_devserver._errors import UsageError

MAX_DEPTH = 128
"""Levels of nesting. Everything that handles documents recursively takes this many."""

MAX_ELEMENTS = 1_000_000
"""Elements of all lists and objects together. As Python objects they take up to 100 MB."""

_STRINGS = re.compile(rb'"[^"]*"')
_NO_BRACKETS = re.compile(rb"[^\[\]{}]+")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class TooComplexError(UsageError):
    """JSON that is nested too deeply or has too many elements."""


def check_complexity(text: str | bytes) -> None:
    """Check that parsing `text` takes bounded memory and stack.

    Raises:
        TooComplexError: otherwise.
    """
    data = text.encode(errors="replace") if isinstance(text, str) else text
    # Counts characters in strings too: most texts are within the bounds by far.
    if _openings(data) > MAX_DEPTH or data.count(b",") >= MAX_ELEMENTS:
        ComplexityMeter().feed(data)


@dataclass(slots=True)
class ComplexityMeter:
    """Measures JSON that arrives in parts, and holds none of it."""

    elements: int = 0
    depth: int = 0
    _is_in_string: bool = False
    # A backslash whose character is in the next part.
    _rest: bytes = b""

    def feed(self, part: bytes) -> None:
        """Count the next part.

        Raises:
            TooComplexError: if the JSON is beyond a bound by now.
        """
        structure = self._structure_of(part)
        self.elements += structure.count(b",") + _openings(structure)
        if self.elements > MAX_ELEMENTS:
            msg = f"the JSON has about {self.elements} elements or more: at most {MAX_ELEMENTS} are accepted"
            raise TooComplexError(msg)
        depths = list(accumulate((_STEPS[item] for item in _NO_BRACKETS.sub(b"", structure)), initial=self.depth))
        if max(depths) > MAX_DEPTH:
            msg = f"the JSON is nested {max(depths)} levels deep or deeper: at most {MAX_DEPTH} are accepted"
            raise TooComplexError(msg)
        self.depth = depths[-1]

    def _structure_of(self, part: bytes) -> bytes:
        """Return what is outside of strings."""
        # Much faster than a regular expression, where a text has millions of them.
        data = (self._rest + part).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._rest = data[-1:] if data.endswith(b"\\") else b""
        if self._is_in_string:
            data = b'"' + data
        # Without escapes, every quote begins or ends a string.
        outside, quote, _ = _STRINGS.sub(b"", data).partition(b'"')
        self._is_in_string = bool(quote)
        return outside


def _openings(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{")
