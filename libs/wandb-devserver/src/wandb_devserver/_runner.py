"""Running server: its socket, thread and data."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from wandb_devserver._backend import Backend
from wandb_devserver._data_dir import DataDir
from wandb_devserver._errors import DevServerError, UsageError
from wandb_devserver._http.app import create_app
from wandb_devserver._http.connections import KEEP_ALIVE, let_callbacks_run

if TYPE_CHECKING:
    from wandb_devserver._http.connections import Connections
    from wandb_devserver._settings import Settings

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 5
_STOP_INTERVAL = 0.005
# In which uvicorn counts; at whole seconds it updates the header Date.
_TICKS_PER_SECOND = 10


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that reports when it accepts requests, stops at once, and leaves no connection open."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._connections = connections
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Stop soon; may be called in any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # It is closed already.
                self._loop.call_soon_threadsafe(self._stopped.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    async def main_loop(self) -> None:
        """Wait for `stop`. uvicorn's own loop polls ten times a second, which delays every test that stops a server."""
        seconds = 0
        while not await self.on_tick(seconds * _TICKS_PER_SECOND):
            seconds += 1
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests in progress end, then close all connections.

        uvicorn's own method looks ten times a second whether they have ended, which delays every test that stops a
        server.
        """
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        # asyncio would not close a connection whose server is closed before its transport exists.
        await let_callbacks_run()
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._requests_ended(), _STOP_TIMEOUT)
        for task in self.server_state.tasks:
            task.cancel()
        await self._connections.abort()

    async def _requests_ended(self) -> None:
        # uvicorn keeps them in sets, without an event.
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
            await asyncio.sleep(_STOP_INTERVAL)


class RunningServer:
    """Listens from its creation until `stop`.

    Raises:
        UsageError: if the host and port or the data directory cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._socket = _listen(settings.host, settings.port)
        self._temporary = None if settings.data_dir else Path(tempfile.mkdtemp(prefix="wandb-devserver-"))
        with contextlib.ExitStack() as undo:
            undo.callback(self._release)
            self.data_dir = DataDir(settings.data_dir or self._temporary or Path())
            undo.callback(self.data_dir.close)
            self.backend = _open_backend(self.data_dir, settings)
            undo.pop_all()
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._serve(settings)

    def stop(self) -> None:
        self._uvicorn.stop()
        self._thread.join()
        self.backend.database.close()
        self.data_dir.close()
        self._release()

    def _serve(self, settings: Settings) -> None:
        config = uvicorn.Config(
            create_app(self.backend, hosts=(settings.host, *settings.allowed_hosts)),
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="asyncio",
            http=self.backend.connections.protocol(),
            ws="none",
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._uvicorn = _Uvicorn(config, self.backend.connections)
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([self._socket],), name="wandb-devserver", daemon=True
        )
        self._thread.start()
        if not self._uvicorn.ready.wait(_START_TIMEOUT):
            self.stop()
            msg = f"the server on {self.url} did not start within {_START_TIMEOUT} s"
            raise DevServerError(msg)

    def _release(self) -> None:
        self._socket.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _open_backend(data_dir: DataDir, settings: Settings) -> Backend:
    try:
        return Backend.open(
            data_dir,
            entity=settings.entity,
            api_key=settings.api_key,
            heartbeat_timeout=settings.heartbeat_timeout,
            export_after=settings.export_after,
        )
    except (OSError, sqlite3.DatabaseError) as error:
        msg = f"data_dir {str(data_dir.path)!r} cannot be used: {error}"
        raise UsageError(msg) from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named: otherwise responses wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A port that a server just left may be taken again at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        msg = f"cannot listen on host {host!r}, port {port} ({reason}): use another port, or 0 for a free one"
        raise UsageError(msg) from error
    return listener
