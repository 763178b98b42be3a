"""The API key or identity token for a server, found where the SDK finds it, without importing the SDK."""

from __future__ import annotations

import ipaddress
import netrc
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from wandb_artifacts._client.connection import Connection, SystemSettings, credentials_file
from wandb_artifacts._errors import AuthenticationError
from wandb_artifacts._refs import app_url, shown_host

_LEGACY_HOSTS = {"api.forge.coreweave.com": "api.wandb.ai"}
"""Hosts for which the SDK also accepts the key of an older name (wandb.sdk.lib.urls)."""


@dataclass(frozen=True)
class Credentials:
    """Credentials for one server: an API key, or a file with an identity token (JWT)."""

    host: str
    """The API base URL that they are for."""
    source: str
    """Where they were found: an environment variable or a file."""
    api_key: str | None = field(default=None, repr=False)
    identity_token_file: Path | None = None
    """Exchanged for access tokens, which are sent instead of a key."""
    credentials_file: Path | None = None
    """Where access tokens are cached."""


def is_configured(host: str) -> bool:
    """Return whether a server is the configured one, which gets the environment's credentials and headers.

    The URL of any other server may have been pasted from anywhere.
    """
    return app_url(host) == app_url(Connection().resolved().host)


def find_credentials(connection: Connection | None = None, *, host: str | None = None) -> Credentials:
    """Find the credentials for a server: in the environment, in W&B's settings files, in netrc. Reads files.

    Args:
        connection: How the server is reached; None for the configured server.
        host: The API base URL, if it is not that of the connection. It gets the environment's credentials only if it is
            the configured server.

    Raises:
        AuthenticationError: None were found, or the environment has two.
    """
    given = (connection or Connection()).host
    server = host or given or Connection().resolved().host or ""
    named = given is not None and app_url(given) == app_url(server)
    is_allowed = named or is_configured(server)
    found = _system_credentials(server) if is_allowed else None
    if is_allowed or not _is_exposed(server):
        # A machine in netrc has no scheme: its key must not go over plain http to a server that a link names.
        found = found or _netrc_credentials(server)
    if found:
        return found
    if not is_allowed and _netrc_credentials(server):
        hint = "a key is not sent over http to a server that is not configured; use https, or set WANDB_BASE_URL to it"
    elif not is_allowed and _system_credentials(server):
        hint = "WANDB_API_KEY is for another server; set WANDB_BASE_URL to this one if the key is meant for it"
    else:
        hint = f"set WANDB_API_KEY, or run 'wandb login'; your key is at {app_url(server)}/authorize"
    msg = f"No W&B API key for {shown_host(server)}: {hint}"
    raise AuthenticationError(msg)


def _is_exposed(server: str) -> bool:
    """Return whether others can read what is sent to a server."""
    parts = urlsplit(server)
    try:
        is_local = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_local = parts.hostname == "localhost"
    return parts.scheme != "https" and not is_local


def has_credentials(connection: Connection | None = None) -> bool:
    """Return whether credentials for a server can be found. Reads files; sends nothing."""
    try:
        find_credentials(connection)
    except AuthenticationError:
        return False
    return True


def _system_credentials(host: str) -> Credentials | None:
    settings = SystemSettings()
    (key, key_source), (token_file, token_source) = settings.get("api_key"), settings.get("identity_token_file")
    key = key.strip() if key else None
    if key and token_file:
        msg = f"{key_source} and {token_source} are both set; unset one of them"
        raise AuthenticationError(msg)
    if key:
        return Credentials(host, key_source, api_key=key)
    if token_file:
        path = Path(token_file).expanduser()
        return Credentials(host, token_source, identity_token_file=path, credentials_file=credentials_file())
    return None


def _netrc_credentials(host: str) -> Credentials | None:
    path = _netrc_path()
    try:
        entries = netrc.netrc(path)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return None
    netloc = urlsplit(host).netloc
    for name in (netloc, _LEGACY_HOSTS.get(netloc)):
        # Not `authenticators`, which would return the entry named "default" for any server.
        found = entries.hosts.get(name) if name else None
        if found and found[2]:
            return Credentials(host, str(path), api_key=found[2])
    return None


def _netrc_path() -> Path:
    if given := os.environ.get("NETRC"):
        return Path(given).expanduser()
    plain = Path.home() / ".netrc"
    return plain if plain.exists() or os.name != "nt" else Path.home() / "_netrc"
