"""Responses altered or replaced by injected faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from starlette.datastructures import MutableHeaders
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Receive, Scope, Send

    from wandb_devserver._backend import Backend
    from wandb_devserver._testing.faults import Fault, Kind

    Serve = Callable[[Fault | None], Awaitable[Response]]

_INVERTED = bytes(byte ^ 0xFF for byte in range(256))


async def respond(
    backend: Backend, kind: Kind, serve: Serve, *, operation: str | None = None, target: str | None = None
) -> Response:
    """Serve a request, or misbehave if a fault matches it."""
    fault = backend.faults.take(kind, operation=operation, target=target)
    response = await (serve(None) if fault is None else _misbehave(backend, fault, serve))
    backend.requests.note(kind, operation)
    return response


async def _misbehave(backend: Backend, fault: Fault, serve: Serve) -> Response:
    await anyio.sleep(fault.delay)
    if fault.replaces_response:
        if fault.applied:
            await serve(fault)
        if fault.status is None:
            return _DroppedResponse(backend)
        return Response(fault.body, fault.status, dict(fault.headers))
    response = await serve(fault)
    return _AlteredResponse(backend, fault, response) if fault.alters_body else response


class _DroppedResponse(Response):
    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._connections = backend.connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        await self._connections.drop(scope, receive)


class _AlteredResponse(Response):
    def __init__(self, backend: Backend, fault: Fault, response: Response) -> None:
        super().__init__()
        self._connections = backend.connections
        self._fault = fault
        self._response = response
        self._dropped = False
        self._left = fault.drop_after if fault.truncate_to is None else fault.truncate_to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_altered(message: Message) -> None:
            if self._dropped:
                return
            if message["type"] == "http.response.start":
                self._alter_length(message)
            else:
                self._alter_body(message)
            await send(message)
            if self._left == 0 and self._fault.drop_after is not None:
                self._dropped = True
                await self._connections.drop(scope, receive, flush=True)

        await self._response(scope, receive, send_altered)

    def _alter_length(self, start: Message) -> None:
        headers = MutableHeaders(raw=start["headers"])
        if self._fault.truncate_to is not None:
            headers["content-length"] = str(min(self._fault.truncate_to, int(headers["content-length"])))

    def _alter_body(self, message: Message) -> None:
        body = message.get("body", b"")
        if self._fault.wrong_bytes:
            body = body.translate(_INVERTED)
        if self._left is not None:
            body = body[: self._left]
            self._left -= len(body)
        message["body"] = body
