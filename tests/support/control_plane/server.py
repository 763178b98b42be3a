"""The RPC server, in a thread whose event loop runs the whole plane."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import uvicorn

from tests.support.control_plane.services import application

if TYPE_CHECKING:
    import socket

    from tests.support.control_plane.scheduler import Scheduler


class Server(uvicorn.Server):
    """A uvicorn server that exposes its event loop and when it is ready."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, scheduler: Scheduler) -> None:
        self.ready = threading.Event()
        config = uvicorn.Config(
            application(scheduler),
            interface="asgi3",
            loop="asyncio",
            lifespan="off",
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # uvicorn leaves connections open that clients keep beyond its time for a graceful end.
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
