"""Regular expressions of clients, matched in time linear to the text.

Python's `re` may take forever for a short pattern and a short text, and lets no other thread run meanwhile. RE2 is
also the syntax of W&B, whose server is written in Go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import re2

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_LENGTH = 1000


def compile_pattern(pattern: object) -> Callable[[str], bool]:
    """Return a predicate on texts that contain a match of `pattern`.

    Raises:
        UsageError: if it is not a pattern in RE2's syntax, or too long.
    """
    if not isinstance(pattern, str) or len(pattern) > _MAX_LENGTH:
        msg = f"$regex takes a pattern of at most {_MAX_LENGTH} characters, not {str(pattern)[:100]!r}"
        raise UsageError(msg)
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "invalid"
        msg = f"$regex {pattern!r} is not a regular expression in RE2's syntax: {reason}"
        raise UsageError(msg) from error
    return lambda text: compiled.search(text) is not None
