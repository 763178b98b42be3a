"""Limit of Range headers: one part, or the whole file is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_ONE_PART = re.compile(rb"bytes=\d{0,18}-\d{0,18}")


class IgnoreManyRanges:
    """ASGI middleware that removes a Range header of several parts, which HTTP lets a server ignore.

    No client of W&B sends one, and Starlette before 1.10 takes seconds for many parts and sends a body that does not
    have the announced length.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"] = [header for header in scope["headers"] if not _is_ignored(*header)]
        await self._app(scope, receive, send)


def _is_ignored(name: bytes, value: bytes) -> bool:
    return name == b"range" and not _ONE_PART.fullmatch(value)
