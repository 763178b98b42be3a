"""HTTP Basic authentication as in W&B: user `api`, the API key as password."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# Signed links prove themselves; the SDK sends its telemetry without credentials. The routes of the
# app must handle every path under these, so that none of them leads to a page.
OPEN_PREFIXES = ("/signed/", "/sdk/otel/")


class RequireKey:
    """ASGI middleware that responds with 401 to requests without the key."""

    def __init__(self, app: ASGIApp, *, api_key: str) -> None:
        self._app = app
        self._expected = base64.b64encode(f"api:{api_key}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PREFIXES) or self._knows_key(scope):
            await self._app(scope, receive, send)
            return
        message = "Invalid or missing API key: send HTTP Basic credentials, user 'api', password the key."
        refusal = JSONResponse(
            {"errors": [{"message": message}]},
            status_code=401,
            headers={"WWW-Authenticate": 'Basic realm="wandb-devserver"'},
        )
        await refusal(scope, receive, send)

    def _knows_key(self, scope: Scope) -> bool:
        scheme, _, credentials = Headers(scope=scope).get("authorization", "").partition(" ")
        return scheme.lower() == "basic" and hmac.compare_digest(credentials.strip().encode(), self._expected)
