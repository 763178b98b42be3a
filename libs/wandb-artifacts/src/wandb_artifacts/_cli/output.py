"""What the command says: results on stdout; what happens, and what went wrong, on stderr."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from wandb_artifacts._errors import DestinationError


def prepare() -> None:
    """A name that the terminal's encoding does not have must not end a download."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def put(text: str) -> None:
    """Prints a result.

    Raises:
        DestinationError: Standard output takes no more.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has seen enough. The interpreter would say so once more when it flushes at its end.
        _to_nowhere()
    except OSError as error:
        _to_nowhere()
        msg = f"standard output cannot be written: {error.strerror}"
        raise DestinationError(msg) from None


def put_json(document: Mapping[str, Any]) -> None:
    put(json.dumps(document, indent=2, allow_nan=False))


def log(text: str) -> None:
    """Tells something besides; nobody there to hear it is no failure."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _to_nowhere() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """A number of bytes with three digits: 999 B, 1.02 kB, 10.2 kB, 102 kB, 1.02 MB."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= 1000
        if count < 999.5 or unit == _UNITS[-1]:
            break
    digits = 2 if count < 9.995 else 1 if count < 99.95 else 0
    return f"{count:.{digits}f} {unit}"


def count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def seconds(number: float) -> str:
    if number < 60:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time(text: str | None) -> str:
    """A time as W&B writes it, without fractions and zone; it is UTC."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", text or "")
    return f"{found[1]} {found[2]}" if found else "-"


def printable(name: str) -> str:
    """A name that somebody else chose, unable to steer the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def shortened(name: str, width: int) -> str:
    """The end of a name tells more than its middle, and so does its beginning."""
    name = printable(name)
    if len(name) <= width:
        return name
    tail = (width - 1) * 2 // 3
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names below a line, one a line."""
    shown = [f"\n  {printable(name)}" for name in names[:most]]
    more = len(names) - most
    return "".join(shown) + (f"\n  ... and {more:,} more (--json lists all)" if more > 0 else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns as wide as they must be; the last one as it is."""
    cells = [head, *rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head) - 1)]
    return "\n".join(
        "  ".join(
            [
                *(row[at].rjust(width) if at in right else row[at].ljust(width) for at, width in enumerate(widths)),
                row[-1],
            ]
        )
        for row in cells
    )
