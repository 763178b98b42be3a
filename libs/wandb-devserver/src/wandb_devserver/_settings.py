"""Validated settings of a server."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from wandb_devserver._errors import UsageError

DEFAULT_HEARTBEAT_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    data_dir: Path | None
    host: str
    port: int
    api_key: str | None = field(repr=False)
    entity: str
    heartbeat_timeout: float
    allowed_hosts: tuple[str, ...] = ()
    export_after: int | None = None

    def __post_init__(self) -> None:
        if not self.entity or "/" in self.entity:
            msg = f"entity is {self.entity!r}: use a name without '/'"
            raise UsageError(msg)
        if not self.heartbeat_timeout > 0:
            msg = f"heartbeat_timeout is {self.heartbeat_timeout!r}: use a number of seconds above 0"
            raise UsageError(msg)
        if self.export_after is not None and self.export_after < 0:
            msg = f"export_after is {self.export_after!r}: use a number of rows, 0 or more, or None for no exports"
            raise UsageError(msg)
        for host in self.allowed_hosts:
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", host):
                msg = f"allowed_hosts contains {host!r}: use a host name, without scheme and port"
                raise UsageError(msg)
        if self.api_key is not None:
            check_api_key(self.api_key)


_MINIMUM_KEY_LENGTH = 40


def generate_api_key() -> str:
    return secrets.token_hex(_MINIMUM_KEY_LENGTH // 2)


def check_api_key(key: str) -> str:
    """Return `key` if the SDK would send it.

    Raises:
        UsageError: otherwise; the message does not repeat the key.
    """
    prefix, dash, secret = key.partition("-") if "-" in key else ("", "", key)
    if len(secret) < _MINIMUM_KEY_LENGTH:
        after = f" after its prefix {prefix!r}" if dash else ""
        msg = f"api_key has {len(secret)} characters{after}, wandb requires {_MINIMUM_KEY_LENGTH}: use a longer one"
        raise UsageError(msg)
    if not re.fullmatch(r"[A-Za-z0-9_-]+" if dash else r"[A-Za-z0-9_]+", secret):
        msg = "api_key has characters other than letters, digits and underscores: wandb would refuse it"
        raise UsageError(msg)
    return key
