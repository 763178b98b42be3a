"""Access tokens: an identity token (JWT) exchanged at W&B's token endpoint, and cached, as the SDK does."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple, TypeAlias

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client.credentials import Credentials
from wandb_artifacts._errors import AuthenticationError

_MARGIN = timedelta(minutes=5)
"""A token that expires sooner is replaced, as in the SDK."""
_FORMAT = "%Y-%m-%d %H:%M:%S"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Exchange: TypeAlias = Callable[[str], Awaitable[tuple[str, float]]]
"""Sends an identity token; returns an access token and the seconds until it expires."""


class _Token(NamedTuple):
    text: str
    expires_at: datetime

    @property
    def is_usable(self) -> bool:
        return self.expires_at - datetime.now(timezone.utc) > _MARGIN


_known: dict[tuple[str, Path], _Token] = {}
"""Tokens of this process, by server and identity token file."""


class AccessTokens:
    """The access tokens of one session.

    Args:
        credentials: Credentials with an identity token file.
    """

    def __init__(self, credentials: Credentials) -> None:
        if credentials.identity_token_file is None:
            msg = "the credentials have no identity token file"
            raise ValueError(msg)
        self._host = credentials.host
        self._file = credentials.identity_token_file
        self._cache = credentials.credentials_file
        self._lock = asyncio.Lock()

    async def get(self, exchange: Exchange) -> str:
        """Return a valid access token: from memory, from the credentials file, or by an exchange.

        Raises:
            AuthenticationError: The identity token file is not readable.
        """
        key = self._host, self._file
        async with self._lock:
            token = _known.get(key)
            if token is None or not token.is_usable:
                token = await to_thread(self._load)
            if token is None or not token.is_usable:
                token = await self._renew(exchange)
            _known[key] = token
            return token.text

    async def _renew(self, exchange: Exchange) -> _Token:
        # Read for each exchange: short-lived identity tokens are replaced in the same file.
        text, seconds = await exchange(await to_thread(self._read_identity_token))
        token = _Token(text, datetime.now(timezone.utc) + timedelta(seconds=seconds))
        await to_thread(self._store, token)
        return token

    def _read_identity_token(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            msg = f"Cannot read the identity token file {self._file}: {reason}. Check WANDB_IDENTITY_TOKEN_FILE"
            raise AuthenticationError(msg) from None

    def _read_cache(self) -> dict[str, dict[str, str]]:
        if self._cache is None:
            return {}
        try:
            found = json.loads(self._cache.read_text(encoding="utf-8"))["credentials"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return found if isinstance(found, dict) else {}

    def _load(self) -> _Token | None:
        try:
            entry = self._read_cache()[self._host]
            expires_at = datetime.strptime(entry["expires_at"], _FORMAT).replace(tzinfo=timezone.utc)
            return _Token(str(entry["access_token"]), expires_at)
        except (KeyError, TypeError, ValueError):
            return None

    def _store(self, token: _Token) -> None:
        if self._cache is None:
            return
        entry = {"expires_at": token.expires_at.strftime(_FORMAT), "access_token": token.text}
        document = {"credentials": {**self._read_cache(), self._host: entry}}
        temporary = self._cache.with_name(f".{self._cache.name}.{secrets.token_hex(4)}")
        # The cache only saves exchanges, so a folder that is not writable does not matter.
        with suppress(OSError):
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "w", encoding="utf-8", opener=_private_opener) as file:
                json.dump(document, file, indent=2)
            temporary.replace(self._cache)


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
