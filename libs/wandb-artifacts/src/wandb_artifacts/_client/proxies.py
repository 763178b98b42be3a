"""The proxy of a request: that of the connection, else the environment's."""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yarl import URL

    from wandb_artifacts._client.connection import Connection


class Proxies:
    """The proxies of a session.

    Args:
        connection: Resolved.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Reading the environment for every request would take a sixth of the time of a download of small files.
        self._found: dict[URL, str | None] = {}

    def find(self, url: URL) -> str | None:
        """Return the URL of the proxy for a URL, which may hold a password; None if it is reached directly."""
        origin = url.origin()
        if origin not in self._found:
            explicit = self._connection.https_proxy if url.scheme == "https" else self._connection.http_proxy
            self._found[origin] = explicit or _environment_proxy(origin)
        return self._found[origin]


def _environment_proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for a URL; `trust_env` of aiohttp would read netrc as well."""
    proxies = urllib.request.getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or (url.host and _bypasses_proxy(url.host, proxies.get("no", ""))):
        return None
    return found if "://" in found else f"http://{found}"


def _bypasses_proxy(host: str, no_proxy: str) -> bool:
    """Return whether a host is reached directly: as in the SDK, loopback always is, and NO_PROXY may hold networks."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or bool(urllib.request.proxy_bypass(host))
    networks = [entry.strip() for entry in no_proxy.split(",") if "/" in entry]
    return (
        ip.is_loopback or bool(urllib.request.proxy_bypass(host)) or any(_contains(network, ip) for network in networks)
    )


def _contains(network: str, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ip in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
