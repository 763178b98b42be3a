"""Authentication: the API key by HTTP Basic as in W&B (user `api`) for the API, a browser session for pages."""

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

# Where the SDK sends its key. Pages do not take it: a browser keeps Basic credentials until it is closed, and sends
# them along with requests that other sites make.
API_PREFIXES = ("/graphql", "/files/", "/artifactsV2/")

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
        if not request.scope["path"].startswith(API_PREFIXES):
            return False
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "basic" and hmac.compare_digest(credentials.strip().encode(), self._expected)

    def _reads(self, request: Request) -> bool:
        if request.method not in ("GET", "HEAD") and not request.scope["path"].startswith(PAGES_PREFIX):
            return False
        return self._sessions.find(request.headers.get("cookie", "")) is not None

    def _refusal(self, request: Request) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return self._sign_in_page(request)
        if not request.scope["path"].startswith(API_PREFIXES):
            # Without the header that makes a browser open its password dialog.
            return _refused(f"Pages need a browser session: sign in at {SIGN_IN_PATH}.")
        message = "Invalid or missing API key: send HTTP Basic credentials, user 'api', password the key."
        return _refused(message, {"WWW-Authenticate": 'Basic realm="wandb-devserver"'})


def _refused(message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status_code=401, headers=headers)
