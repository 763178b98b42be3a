"""Open client connections, so that a fault can close one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope
    from uvicorn.server import ServerState


class Connections:
    """Finds the transport behind a request; it exists once uvicorn runs."""

    def __init__(self) -> None:
        self._state: ServerState | None = None

    def attach(self, state: ServerState) -> None:
        self._state = state

    async def drop(self, scope: Scope, receive: Receive, *, flush: bool = False) -> None:
        """Close the connection of a request, after what was already sent if `flush`."""
        for connection in list(self._state.connections if self._state else ()):
            if getattr(connection, "client", None) == scope["client"]:
                transport = connection.transport
                transport.close() if flush else transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass
