"""Signed, expiring tokens for URLs that need no API key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

from wandb_devserver._errors import UsageError


class Signer:
    """Makes and checks such links with a secret that never leaves the server."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, subject: list[str | int], *, lifetime: float) -> str:
        """Return a token, fit for a URL path, that allows `subject` for `lifetime` seconds."""
        payload = base64.urlsafe_b64encode(json.dumps([int(time.time() + lifetime), *subject]).encode()).decode()
        return f"{payload}.{self._signature(payload)}"

    def verify(self, token: str) -> list[str | int]:
        """Return what the token allows.

        Raises:
            UsageError: if this server did not sign it, or it expired.
        """
        payload, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(payload).encode()):
            msg = "the URL was not signed by this server"
            raise UsageError(msg)
        expires, *subject = json.loads(base64.urlsafe_b64decode(payload))
        if expires < time.time():
            msg = "the URL expired: request a new one"
            raise UsageError(msg)
        return list(subject)

    def _signature(self, payload: str) -> str:
        return hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()
