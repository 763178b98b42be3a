"""Protection from foreign web pages: `Host` and `Origin` of every request are checked."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send


class CheckOrigin:
    """ASGI middleware that refuses requests which a page of another site made the user's browser send.

    A page whose host name resolves to this machine (DNS rebinding) is recognized by `Host`: it must be an IP address,
    `localhost`, or one of `hosts`. Other pages are recognized by `Origin`.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_served(host):
            message = f"Host {host!r} is not served here: start the server with --allowed-host NAME to serve it."
            await _refusal(421, message)(scope, receive, send)
        elif origin is not None and not _is_same_origin(origin, host):
            message = f"Requests from pages of {origin!r} are refused: this is {host!r}."
            await _refusal(403, message)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_served(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return name in self._hosts or _is_ip_address(name)


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_origin(origin: str, host: str) -> bool:
    # Not the scheme: a proxy may add TLS.
    scheme, separator, netloc = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and netloc.lower() == host.lower()


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"errors": [{"message": message}]}, status_code=status)
