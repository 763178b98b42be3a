"""What the command says: results on stdout; what happens, and what went wrong, on stderr."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping
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


def say(text: str) -> None:
    """Tells something besides; nobody there to hear it is no failure."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _to_nowhere() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
