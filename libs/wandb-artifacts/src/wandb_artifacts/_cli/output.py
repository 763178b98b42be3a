"""Output of the command: results on stdout, progress and errors on stderr; and the format of values."""

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
    """Escape characters that the terminal's encoding lacks, so that they do not end a download."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def put(text: str) -> None:
    """Print a result to standard output.

    Raises:
        DestinationError: Standard output is not writable.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe. Otherwise the interpreter would report it again when it flushes at exit.
        _discard_stdout()
    except OSError as error:
        _discard_stdout()
        msg = f"Cannot write to standard output: {error.strerror}"
        raise DestinationError(msg) from None


def put_json(document: Mapping[str, Any]) -> None:
    put(json.dumps(document, indent=2, allow_nan=False))


def log(text: str) -> None:
    """Print a line to standard error; a failure to do so is ignored."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _discard_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """Format a number of bytes with three digits: 999 B, 1.02 kB, 10.2 kB, 102 kB, 1.02 MB."""
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
    """Format a time of W&B (UTC), without fractions and zone."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", text or "")
    return f"{found[1]} {found[2]}" if found else "-"


def printable(name: str) -> str:
    """Escape control characters, so that a name cannot control the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def shortened(name: str, width: int) -> str:
    """Shorten a name in its middle, because its start and end are more telling."""
    name = printable(name)
    if len(name) <= width:
        return name
    tail = (width - 1) * 2 // 3
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def listed(names: Sequence[str], most: int = 20) -> str:
    """Format names as lines."""
    shown = [f"\n  {printable(name)}" for name in names[:most]]
    more = len(names) - most
    return "".join(shown) + (f"\n  ... and {more:,} more (--json lists all)" if more > 0 else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Format rows with aligned columns; the last column is not padded."""
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
