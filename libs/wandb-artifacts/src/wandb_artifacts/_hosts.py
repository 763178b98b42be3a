"""How the address of W&B's API and the address of its web app relate.

The same rule as `wandb.Settings(base_url=...).app_url`, without importing wandb (0.4 s) to print a link; a test holds
the two against each other.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from wandb_artifacts._errors import InvalidValueError

DEFAULT_HOST = "https://api.forge.coreweave.com"
"""The API address the SDK uses when none is given."""

_CLOUD_APP = "https://forge.coreweave.com/wandb"
_CLOUD_HOSTS = ("api.forge.coreweave.com", "forge.coreweave.com", "api.wandb.ai", "wandb.ai")


def check_host(value: str, *, field: str = "host") -> str:
    """Returns `value` without a trailing slash if it is an http(s) address.

    Raises:
        InvalidValueError: It is no address, or it carries a user name or password.
    """
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise InvalidValueError(field, None, "must not carry a user name or password; give the key in WANDB_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidValueError(field, value, "must be the address of a W&B server, such as https://wandb.example.com")
    return value.rstrip("/")


def app_url(host: str | None) -> str:
    """The address of the web app that belongs to an API address.

    Args:
        host: The API address as `WANDB_BASE_URL` takes it; None for the SDK's default.

    Returns:
        The address of the app, without a trailing slash.
    """
    host = (host or DEFAULT_HOST).rstrip("/")
    if urlsplit(host).hostname in _CLOUD_HOSTS:
        return _CLOUD_APP
    if "://api.wandb." in host and "://api.wandb.test" not in host:
        return host.replace("://api.", "://", 1)
    return host.replace("://api.", "://app.", 1)


def api_url(app: str) -> str | None:
    """The API address behind an address of the web app: the reverse of `app_url`.

    Args:
        app: What stands before `/entity/project/...` in the address of a page.

    Returns:
        The API address, or None for the SDK's default.
    """
    app = app.rstrip("/")
    if urlsplit(app).hostname in _CLOUD_HOSTS:
        return None
    return app.replace("://app.", "://api.", 1)
