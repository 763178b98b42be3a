"""Secrets removed from texts of a server, which may have echoed the request."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

_MIN_LENGTH = 4
# The server's text may end within a secret. `api:` and two characters of the key, as base64, have eight.
_MIN_TRUNCATED = 12


class Redactor:
    """Replaces secrets in texts, however a server may have encoded them."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        self._forms: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str | None) -> None:
        """Replace a secret from now on; short texts are not secrets."""
        if secret and len(secret) >= _MIN_LENGTH:
            self._forms.update(_forms(secret))

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return text

    def mask(self, content: bytes) -> bytes:
        """Return the contents of a file with secrets, also truncated ones, overwritten: its length stays."""
        for form in sorted(self._forms, key=len, reverse=True):
            content = _masked(content, form.encode())
        return content


def basic_authorization(key: str) -> str:
    """Return the value of the `Authorization` header for an API key."""
    return f"Basic {_encoded(f'api:{key}')}"


def _masked(content: bytes, form: bytes) -> bytes:
    start, found = form[:_MIN_TRUNCATED], -1
    while (found := content.find(start, found + 1)) >= 0:
        pairs = zip(content[found : found + len(form)], form, strict=False)
        length = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        content = content[:found] + b"*" * length + content[found + length :]
    return content


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield quote(secret, safe="")
    yield _encoded(secret)
    yield _encoded(f"api:{secret}")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
