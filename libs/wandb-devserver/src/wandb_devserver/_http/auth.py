"""Authentication: the API key by HTTP Basic as in W&B (user `api`), or a browser session."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse

from wandb_devserver._http.connections import trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from wandb_devserver._http.sessions import Sessions

# Signed links prove themselves; the SDK sends its telemetry without credentials. The routes of the
# app must handle every path under these, so that none of them leads to a page.
OPEN_PREFIXES = ("/signed/", "/sdk/otel/", "/-/static/")

SIGN_IN_PATH = "/-/sign-in"

PAGES_PREFIX = "/-/"
"""Paths that only pages use: besides GET, a session may send its forms there."""


class RequireKey:
    """ASGI middleware that refuses requests without the API key or a session with 401.

    A session reads only: what changes runs needs the key, so that no page of another site can do it.
    """

    def __init__(
        self, app: ASGIApp, *, api_key: str, sessions: Sessions, sign_in_page: Callable[[Request], Response]
    ) -> None:
        self._app = app
        self._expected = base64.b64encode(f"api:{api_key}".encode())
        self._sessions = sessions
        self._sign_in_page = sign_in_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_admitted(Request(scope)):
            await self._app(scope, receive, send)
        else:
            await self._refusal(Request(scope))(scope, receive, send)

    def _is_admitted(self, request: Request) -> bool:
        if self._knows_key(request) or self._reads(request):
            trust(request.scope)
            return True
        path: str = request.scope["path"]
        return path == SIGN_IN_PATH or path.startswith(OPEN_PREFIXES)

    def _knows_key(self, request: Request) -> bool:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "basic" and hmac.compare_digest(credentials.strip().encode(), self._expected)

    def _reads(self, request: Request) -> bool:
        if request.method not in ("GET", "HEAD") and not request.scope["path"].startswith(PAGES_PREFIX):
            return False
        return self._sessions.find(request.headers.get("cookie", "")) is not None

    def _refusal(self, request: Request) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return self._sign_in_page(request)
        message = "Invalid or missing API key: send HTTP Basic credentials, user 'api', password the key."
        # A browser would open its password dialog, over a page that has a better one.
        is_page_request = "sec-fetch-mode" in request.headers
        headers = {} if is_page_request else {"WWW-Authenticate": 'Basic realm="wandb-devserver"'}
        return JSONResponse({"errors": [{"message": message}]}, status_code=401, headers=headers)
