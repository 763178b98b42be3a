"""Parsing of console lines and sampling of long streams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from wandb_devserver._json import loads_object

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

# As the SDK streams them to servers without the feature STRUCTURED_CONSOLE_LOGS: `[ERROR ]TIMESTAMP text`.
_LINE = re.compile(r"(?P<error>ERROR )?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?) (?P<text>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line of console output."""

    text: str
    timestamp: str = ""
    level: str = ""
    label: str = ""

    @property
    def labeled_text(self) -> str:
        """The text behind its label, as the SDK writes it to the terminal."""
        return f"[{self.label}] {self.text}" if self.label else self.text


def parse_line(line: str) -> ConsoleLine:
    """Parse a streamed line; a line in another form becomes text only."""
    line = line.rstrip("\n")
    if found := _structured(line):
        return found
    match = _LINE.fullmatch(line)
    if match is None:
        return ConsoleLine(line)
    return ConsoleLine(match["text"], match["time"], "error" if match["error"] else "")


def _structured(line: str) -> ConsoleLine | None:
    """Return a line that is a JSON object with its time, level, label and content; None for any other."""
    if not line.startswith('{"'):
        return None
    match loads_object(line):
        case {"ts": str(time), "content": str(text), **rest}:
            return ConsoleLine(text, time, *(str(rest.get(key) or "") for key in ("level", "label")))
    return None


def sample(items: Iterable[T], size: int) -> list[T]:
    """Return at most `size` items, evenly spread, the first and (from two on) the last among them.

    Shorter streams are returned whole.
    """
    kept: list[T] = []
    stride, last = 1, None
    for index, item in enumerate(items):
        last = item
        if index % stride == 0:
            kept.append(item)
        if len(kept) > 2 * max(size, 1):
            kept, stride = kept[::2], stride * 2
    if stride > 1 and last is not None and kept[-1] is not last:
        kept.append(last)
    return _thinned(kept, size)


def _thinned(items: list[T], size: int) -> list[T]:
    if len(items) <= size:
        return items
    if size <= 1:
        return items[: max(size, 0)]
    step = (len(items) - 1) / (size - 1)
    return [items[round(index * step)] for index in range(size)]
