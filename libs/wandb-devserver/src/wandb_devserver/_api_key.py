"""API keys as the wandb SDK accepts them."""

from __future__ import annotations

import re
import secrets

from wandb_devserver._errors import UsageError

_MINIMUM_LENGTH = 40


def generate() -> str:
    return secrets.token_hex(_MINIMUM_LENGTH // 2)


def check(key: str) -> str:
    """Return `key` if the SDK would send it.

    Raises:
        UsageError: otherwise; the message does not repeat the key.
    """
    prefix, dash, secret = key.partition("-") if "-" in key else ("", "", key)
    if len(secret) < _MINIMUM_LENGTH:
        after = f" after its prefix {prefix!r}" if dash else ""
        msg = f"api_key has {len(secret)} characters{after}, wandb wants {_MINIMUM_LENGTH} or more: use a longer one"
        raise UsageError(msg)
    if not re.fullmatch(r"[A-Za-z0-9_-]+" if dash else r"[A-Za-z0-9_]+", secret):
        msg = "api_key holds something else than letters, digits and underscores: wandb would refuse it"
        raise UsageError(msg)
    return key
