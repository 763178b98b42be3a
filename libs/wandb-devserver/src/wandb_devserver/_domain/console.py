"""Console lines as the SDK streams them: `[ERROR ]TIMESTAMP [[label] ]text`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"(?P<error>ERROR )?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?) (?P<text>.*)", re.DOTALL)
_LABEL = re.compile(r"\[(?P<label>[^\]]+)\] (?P<text>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line of console output."""

    text: str
    timestamp: str = ""
    level: str = ""
    label: str = ""


def parse_line(line: str) -> ConsoleLine:
    """Take apart a line as it was streamed; one in another form is all text."""
    match = _LINE.fullmatch(line.rstrip("\n"))
    if match is None:
        return ConsoleLine(line.rstrip("\n"))
    return ConsoleLine(match["text"], match["time"], "error" if match["error"] else "")
