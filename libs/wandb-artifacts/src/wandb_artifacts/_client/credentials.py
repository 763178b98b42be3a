"""Which server is meant, and the key for it: found where the SDK finds them, without importing it."""

from __future__ import annotations

import configparser
import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

from wandb_artifacts._errors import AuthenticationError
from wandb_artifacts._refs import DEFAULT_HOST, app_url, check_host

_UPSTREAM = {"api.forge.coreweave.com": "api.wandb.ai"}
"""Hosts whose keys the SDK also finds under an older name (wandb.sdk.lib.urls)."""

_trusted: set[str] = set()


def trust(host: str) -> None:
    """Lets the key in `WANDB_API_KEY` be sent to a server that the user's own code has named for it."""
    _trusted.add(app_url(host))


def configured_host() -> str:
    """The API address that this machine is set up for: environment, then what `wandb login --host` stored."""
    given = os.environ.get("WANDB_BASE_URL")
    if given:
        return check_host(given, field="WANDB_BASE_URL")
    return check_host(_stored_host() or DEFAULT_HOST, field="base_url in W&B's settings file")


def _stored_host() -> str | None:
    folder = os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb"
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(Path(folder) / "settings")
    except (configparser.Error, UnicodeDecodeError):
        return None
    return settings.get("default", "base_url", fallback=None)


def find_key(host: str) -> str:
    """The API key for a server.

    The key in `WANDB_API_KEY` is for the configured server, and those named by `trust`: the address of another one may
    have been pasted from anywhere.

    Args:
        host: The API address.

    Raises:
        AuthenticationError: There is none.
    """
    given = os.environ.get("WANDB_API_KEY", "").strip()
    is_configured = app_url(host) in {app_url(configured_host()), *_trusted}
    key = (given if is_configured else "") or _netrc_key(host)
    if key:
        return key
    what = f"no API key for {host}"
    if given and not is_configured:
        hint = "WANDB_API_KEY is for another server; set WANDB_BASE_URL to this one if the key is meant for it"
    else:
        hint = f"set WANDB_API_KEY, or run 'wandb login'; your key is at {app_url(host)}/authorize"
    msg = f"{what}: {hint}"
    raise AuthenticationError(msg)


def _netrc_key(host: str) -> str | None:
    try:
        entries = netrc.netrc(_netrc_path())
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return None
    netloc = urlsplit(host).netloc
    for name in (netloc, _UPSTREAM.get(netloc)):
        # Not `authenticators`: it would hand any server the entry named "default".
        found = entries.hosts.get(name) if name else None
        if found and found[2]:
            return found[2]
    return None


def _netrc_path() -> Path:
    if given := os.environ.get("NETRC"):
        return Path(given).expanduser()
    plain = Path.home() / ".netrc"
    return plain if plain.exists() or os.name != "nt" else Path.home() / "_netrc"
