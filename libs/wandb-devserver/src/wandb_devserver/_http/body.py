"""Reading of request bodies: bounded in size and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from starlette.responses import JSONResponse

from wandb_devserver._complexity import ComplexityMeter, TooComplexError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

# The SDK splits file_stream requests at 10 MiB; one line of 10 MiB makes its request a little larger.
LIMIT = 64 * 1024 * 1024

BODY_TIMEOUT = 60.0
"""Seconds that may pass between two parts of a body."""


class RefusedBodyError(Exception):
    """A body that cannot be taken; `status` is that of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def refuse_body(_: Request, error: Exception) -> Response:
    """Return the response to a `RefusedBodyError`."""
    assert isinstance(error, RefusedBodyError)
    return refusal(error.status, str(error))


def refusal(status: int, message: str) -> Response:
    """Return an error response as the SDK reads it. The rest of the body is not read, hence the connection closes."""
    content = {"errors": [{"message": message}], "error": message}
    return JSONResponse(content, status_code=status, headers={"Connection": "close"} if status in (408, 413) else None)


async def read_json_body(request: Request) -> bytes:
    """Return the whole body of a request that must be JSON.

    Raises:
        RefusedBodyError: if its content type is another one, or if it is too large or too slow.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        # A form of any web page can send the other types; this one needs a permission that no page gets.
        raise RefusedBodyError(415, f"the content type is {content_type!r}: send 'application/json'")
    # A compressed body is measured when it is decompressed.
    meter = None if request.headers.get("content-encoding") else ComplexityMeter()
    try:
        return await read_body(request, meter=meter)
    except TooComplexError as error:
        raise RefusedBodyError(413, str(error)) from error


async def read_body(request: Request, *, limit: int = LIMIT, meter: ComplexityMeter | None = None) -> bytes:
    """Return the whole body.

    Raises:
        RefusedBodyError: if it is too large or too slow.
        TooComplexError: if it is beyond what `meter` allows, as soon as that is known.
    """
    body = bytearray()
    async for chunk in chunks(request):
        body += chunk
        if len(body) > limit:
            raise RefusedBodyError(413, f"the body exceeds {limit} bytes")
        if meter:
            meter.feed(chunk)
    return bytes(body)


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives.

    Raises:
        RefusedBodyError: if nothing arrives for too long.
    """
    stream = request.stream()
    while True:
        with anyio.move_on_after(BODY_TIMEOUT) as scope:
            chunk = await anext(stream, None)
        if scope.cancelled_caught:
            raise RefusedBodyError(408, f"no part of the body arrived for {BODY_TIMEOUT} s")
        if chunk is None:
            return
        yield chunk
