"""Generated display names and ids."""

from __future__ import annotations

import secrets
import string

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 8
_ADJECTIVES = (
    "amber brave calm clear crisp eager early fair fresh gentle golden grand green happy keen kind light lively lucid "
    "mellow noble pale plain proud quick quiet rapid rosy sharp silent silver smooth snowy solid steady still sunny "
    "swift vivid warm wise young"
)
_NOUNS = (
    "beach bird breeze brook cloud dawn dew dune field fire flower fog forest frost glade grass harbor haze hill lake "
    "leaf meadow mist moon morning night oak ocean peak pine plain pond rain reef river sea shore sky snow star stone "
    "stream sun thunder tide tree valley wave wind wood"
)


def display_name(number: int, noun: str | None = None) -> str:
    """Return something like `calm-river-12` for the twelfth run of a project."""
    return f"{secrets.choice(_ADJECTIVES.split())}-{noun or secrets.choice(_NOUNS.split())}-{number}"


def short_id() -> str:
    """Return eight letters and digits, as W&B makes up ids."""
    return "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))
