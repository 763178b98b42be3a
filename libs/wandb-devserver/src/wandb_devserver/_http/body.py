"""Bounded reading of request bodies into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

# The SDK splits file_stream requests at 10 MiB; one line of 10 MiB makes its request a little larger.
LIMIT = 64 * 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is larger than any W&B client sends."""


async def read_body(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLargeError: once it exceeds the limit.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            msg = f"the body exceeds {LIMIT} bytes"
            raise BodyTooLargeError(msg)
    return bytes(body)
