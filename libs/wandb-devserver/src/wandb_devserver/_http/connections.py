"""Open connections: bounded in number, and closed when no complete request arrives in time.

uvicorn limits neither how long a request head may take nor how many connections there are. One client could use up
all file descriptors of the process. Clients that know the API key come first: a connection without it is closed
after seconds, and gives way when the limit is reached.
"""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from wandb_devserver._http.logs import http_logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

STRANGER_TIMEOUT = 10.0
"""Seconds in which a connection that sent no API key yet must complete the head of a request."""

KEEP_ALIVE = 75
"""Seconds between requests. The SDK's default transports reuse connections after up to 60 s."""

_STEPS = 20
_MAXIMUM = 1000
_RESERVED_DESCRIPTORS = 128
_STATE_KEY = "connection"


class Connections:
    """The connections of one server. Used on its event loop only."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = default_limit() if limit is None else limit
        self._open: set[GuardedProtocol] = set()
        # In order of last use.
        self._idle_strangers: dict[GuardedProtocol, None] = {}
        self._idle_clients: dict[GuardedProtocol, None] = {}

    def protocol(self) -> type[GuardedProtocol]:
        """Return the protocol class for uvicorn, bound to this server's connections."""

        class Protocol(GuardedProtocol):
            registry = self

        return Protocol

    async def drop(self, scope: Scope, receive: Receive, *, flush: bool = False) -> None:
        """Close the connection of a request, after what was already sent if `flush`."""
        transport = _connection(scope).transport
        transport.close() if flush else transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def abort(self) -> None:
        """Close all connections, those too whose requests have not ended in time."""
        for connection in tuple(self._open):
            connection.transport.abort()
        await let_callbacks_run()

    def opened(self, connection: GuardedProtocol) -> None:
        if len(self._open) >= self._limit or len(self._idle_strangers) >= self._limit // 2:
            # The one that is idle for longest; the new one where all others are busy.
            self._evict(next(iter(self._idle_strangers or self._idle_clients), connection))
        self._open.add(connection)
        self.rest(connection)

    def _evict(self, connection: GuardedProtocol) -> None:
        self.closed(connection)
        connection.transport.abort()

    def closed(self, connection: GuardedProtocol) -> None:
        self._open.discard(connection)
        self._wake(connection)

    def rest(self, connection: GuardedProtocol) -> None:
        """Note that a connection waits for a request."""
        if connection.transport.is_closing():
            return
        idle = self._idle_clients if connection.is_client else self._idle_strangers
        idle[connection] = None
        connection.set_deadline(KEEP_ALIVE if connection.is_client else STRANGER_TIMEOUT)

    def work(self, connection: GuardedProtocol) -> None:
        """Note that a connection has a request in progress."""
        self._wake(connection)
        connection.set_deadline(None)

    def _wake(self, connection: GuardedProtocol) -> None:
        self._idle_strangers.pop(connection, None)
        self._idle_clients.pop(connection, None)


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, known to the server's `Connections`."""

    registry: Connections
    is_client = False
    """Whether a request on this connection carried the API key."""

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.logger = http_logger
        # uvicorn copies it into the scope of each request.
        self.app_state = {**self.app_state, _STATE_KEY: self}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.registry.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.set_deadline(None)
        self.registry.closed(self)
        super().connection_lost(exc)

    def set_deadline(self, seconds: float | None) -> None:
        """Close the connection in `seconds`, unless that is called again before."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class TrackConnections:
    """ASGI middleware that notes which connections have a request in progress."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = _connection(scope)
        connection.registry.work(connection)
        try:
            await self._app(scope, receive, send)
        finally:
            connection.registry.rest(connection)


def trust(scope: Scope) -> None:
    """Note that a request carries the API key: its connection is kept longer, and closed last."""
    _connection(scope).is_client = True


async def let_callbacks_run() -> None:
    """Give the event loop some steps: one that was just accepted or aborted is opened or closed in the next ones."""
    for _ in range(_STEPS):
        await asyncio.sleep(0)


def default_limit() -> int:
    """Return how many connections the process has descriptors for, each with a file to read."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MAXIMUM
    return max(min(_MAXIMUM, (soft - _RESERVED_DESCRIPTORS) // 2), 8)


def _connection(scope: Scope) -> GuardedProtocol:
    connection: GuardedProtocol = scope["state"][_STATE_KEY]
    return connection
