"""`Connection`: how a W&B server is reached, from explicit settings, the environment and W&B's settings files."""

from __future__ import annotations

import configparser
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._refs import DEFAULT_HOST, check_host

if TYPE_CHECKING:
    from typing_extensions import Self

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


@dataclass(frozen=True)
class Connection:
    """How a W&B server is reached. Never holds the API key; can be pickled.

    A field that is not given is resolved when a request is sent, as the SDK does: from the environment, then from W&B's
    settings files.

    Args:
        host: The API base URL. Credentials from the environment are sent to it, so it must come from the user's own
            code or configuration, not from a link.
        http_proxy: The proxy for http URLs; None for `WANDB_HTTP_PROXY`, then `HTTP_PROXY` and `NO_PROXY`.
        https_proxy: The proxy for https URLs; None for `WANDB_HTTPS_PROXY`, then `HTTPS_PROXY` and `NO_PROXY`.
        headers: Additional headers for the W&B server (`x_extra_http_headers`); they are not sent to other hosts.
            `Proxy-Authorization` is sent to the proxy only.
        insecure_disable_ssl: Whether to skip the verification of TLS certificates.

    Raises:
        InvalidValueError: One of the values is invalid.
    """

    host: str | None = None
    http_proxy: str | None = field(default=None, repr=False)
    https_proxy: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    insecure_disable_ssl: bool | None = None

    def __post_init__(self) -> None:
        if self.host is not None:
            object.__setattr__(self, "host", check_host(self.host))
        for name in ("http_proxy", "https_proxy"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else _check_proxy(value, name))
        object.__setattr__(self, "headers", _check_headers(self.headers, "headers"))

    @classmethod
    def from_settings(cls, settings: Mapping[str, object] | None, *, host: str | None = None) -> Self:
        """Read the connection from a dictionary of `wandb.Settings` fields.

        Args:
            settings: May hold `base_url`, `http_proxy`, `https_proxy`, `x_extra_http_headers` and
                `insecure_disable_ssl`; other keys are ignored.
            host: The API base URL; overrides `base_url`.

        Returns:
            A connection with the fields that `settings` has.

        Raises:
            InvalidValueError: One of the values is invalid.
        """
        given = {name: value for name, value in (settings or {}).items() if value is not None}
        base_url = given.get("base_url")
        headers, insecure = given.get("x_extra_http_headers"), given.get("insecure_disable_ssl")
        return cls(
            host=host if host is not None else _text(base_url, "settings['base_url']"),
            http_proxy=_text(given.get("http_proxy"), "settings['http_proxy']"),
            https_proxy=_text(given.get("https_proxy"), "settings['https_proxy']"),
            headers={} if headers is None else _check_headers(headers, "settings['x_extra_http_headers']"),
            insecure_disable_ssl=None if insecure is None else _bool(insecure, "settings['insecure_disable_ssl']"),
        )

    def resolved(self) -> Connection:
        """Return the connection with the settings of the environment and of the settings files filled in.

        Reads files.
        """
        settings = SystemSettings()
        host = self.host
        if host is None:
            value, source = settings.get("base_url")
            host = check_host(value or DEFAULT_HOST, field=source)
        headers: Mapping[str, str] = self.headers
        if not headers:
            value, source = settings.get("x_extra_http_headers")
            headers = _check_headers(value, source) if value else {}
        insecure = self.insecure_disable_ssl
        if insecure is None:
            value, source = settings.get("insecure_disable_ssl")
            insecure = _bool(value, source) if value else False
        proxies = {name: getattr(self, name) or settings.proxy(name) for name in ("http_proxy", "https_proxy")}
        return replace(self, host=host, headers=headers, insecure_disable_ssl=insecure, **proxies)


class SystemSettings:
    """Settings of the SDK outside of the code: environment variables, then W&B's settings files.

    The local file (`./wandb/settings`) overrides the global one (`~/.config/wandb/settings`).
    """

    def __init__(self) -> None:
        self._files: dict[str, str] | None = None

    def get(self, name: str) -> tuple[str | None, str]:
        """Return the value of a setting, and its source for messages; None and the variable's name if it is not set."""
        variable = f"WANDB_{name.upper()}"
        # The SDK also reads `x_...` settings from variables with a second underscore in place of the x.
        for spelling in (variable, variable.replace("WANDB_X_", "WANDB__", 1)):
            if value := os.environ.get(spelling):
                return value, spelling
        if self._files is None:
            self._files = {**_read_file(_config_folder() / "settings"), **_read_file(_local_folder() / "settings")}
        if value := self._files.get(name):
            return value, f"{name} in W&B's settings file"
        return None, variable

    def proxy(self, name: str) -> str | None:
        value, source = self.get(name)
        return _check_proxy(value, source) if value else None


def credentials_file() -> Path:
    """Return the file in which access tokens are cached, as the SDK does."""
    value, _ = SystemSettings().get("credentials_file")
    return Path(value).expanduser() if value else Path.home() / ".config" / "wandb" / "credentials.json"


def ssl_context(connection: Connection) -> ssl.SSLContext | bool:
    """Return what aiohttp takes as `ssl`; reads certificates from disk.

    Raises:
        InvalidValueError: `REQUESTS_CA_BUNDLE` is not readable.
    """
    if connection.insecure_disable_ssl:
        return False
    variables = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")]
    # True stands for the context that aiohttp has made when it was imported; reading the certificates takes 40 ms.
    return _context(*variables) if any(variables) else True


@lru_cache(maxsize=4)
def _context(_file: str | None, _dir: str | None, bundle: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()  # OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR.
    if bundle:
        try:
            is_folder = Path(bundle).is_dir()
            context.load_verify_locations(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
        except OSError as error:
            reason = f"cannot be read as certificates ({error.strerror or error}); correct the path, or unset it"
            raise InvalidValueError(field="REQUESTS_CA_BUNDLE", value=bundle, reason=reason) from None
    return context


def _config_folder() -> Path:
    return Path(os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb")


def _local_folder() -> Path:
    root = Path(os.environ.get("WANDB_DIR") or ".")
    hidden = root / ".wandb"
    return hidden if hidden.is_dir() else root / "wandb"


def _read_file(path: Path) -> dict[str, str]:
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(path)
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}
    return dict(settings["default"]) if settings.has_section("default") else {}


def _text(value: object, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")


def _bool(value: object, field: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise InvalidValueError(field, value, "must be true or false")
    return text in _TRUE


def _check_proxy(value: str, field: str) -> str:
    parts = urlsplit(value if "://" in value else f"http://{value}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # Not shown: it may hold a password.
        reason = "must be the URL of an HTTP proxy, such as http://proxy.example.com:3128"
        raise InvalidValueError(field, None, reason)
    return parts.geturl().rstrip("/")


def _check_headers(value: object, field: str) -> dict[str, str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        # Not shown: it may hold a credential.
        reason = "must map names of headers to strings, such as {'X-Team': 'research'}"
        raise InvalidValueError(field, None, reason)
    for name, text in value.items():
        if not name or any(char in f"{name}{text}" for char in "\r\n\0"):
            raise InvalidValueError(field, None, f"header {name!r} has a line break or null character; remove it")
    return dict(value)
