"""Browser sessions: signed cookies, and one-time codes that start one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    from wandb_devserver._http.signing import Signer

SESSION_LIFETIME = 30 * 24 * 3600
_CODE_LIFETIME = 24 * 3600.0
_PURPOSE = "browser-session"


class Sessions:
    """Starts and checks browser sessions. A session ends when it expires or the API key changes."""

    def __init__(self, signer: Signer, api_key: str) -> None:
        self._signer = signer
        self._api_key = api_key
        self._key_digest = hashlib.sha256(api_key.encode()).hexdigest()[:16]
        # Cookies ignore ports: servers on one host must not overwrite each other's.
        self.cookie_name = f"wandb-devserver-{self._key_digest[:8]}"
        self._codes: dict[str, float] = {}
        self._lock = threading.Lock()

    def new_code(self) -> str:
        """Return a code that starts one session, within a day."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = time.time() + _CODE_LIFETIME
        return code

    def is_admitted(self, key_or_code: str) -> bool:
        """Whether a value is the API key or an unused code; using a code ends it."""
        if hmac.compare_digest(key_or_code.encode(), self._api_key.encode()):
            return True
        with self._lock:
            return self._codes.pop(key_or_code, 0.0) > time.time()

    def start(self) -> str:
        """Return the cookie value of a new session."""
        subject: list[str | int] = [_PURPOSE, secrets.token_urlsafe(16), self._key_digest]
        return self._signer.sign(subject, lifetime=SESSION_LIFETIME)

    def find(self, cookie_header: str) -> str | None:
        """Return the session id in a `Cookie` header, None without a valid session."""
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie_name)
            subject = self._signer.verify(morsel.value) if morsel else []
        except (CookieError, UsageError, ValueError):
            return None
        match subject:
            case [kind, str(session), digest] if kind == _PURPOSE and digest == self._key_digest:
                return session
        return None

    def form_token(self, session: str) -> str:
        """Return the token that forms of a session carry, against cross-site request forgery."""
        return hmac.new(self._api_key.encode(), session.encode(), hashlib.sha256).hexdigest()
