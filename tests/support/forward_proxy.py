"""A real HTTP forward proxy on loopback: CONNECT tunnels and requests with absolute URLs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

_STEPS = 20


@dataclass(frozen=True)
class ProxiedRequest:
    """A request that reached the proxy."""

    method: str
    target: str
    """The URL; for CONNECT, host and port."""
    headers: Mapping[str, str]
    """With lower-case names."""


@dataclass
class ForwardProxy:
    """A proxy that runs in a thread for the duration of the `with` block.

    Args:
        hosts: Host names that only the proxy resolves, with their host and port.
        credentials: `user:password` that each request must carry; None for no authentication.
    """

    hosts: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    credentials: str | None = None
    requests: list[ProxiedRequest] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self._stop.wait()
        for listener in server.sockets:
            self._loop.remove_reader(listener.fileno())
        # asyncio would not close a connection whose server is closed, or whose task cancelled, before its first step.
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._handle(reader, writer)
        finally:
            self._connections.discard(task)
            await _close(writer)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        method, target, version = head[0].split(" ")
        lines = [line.partition(":") for line in head[1:]]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        self.requests.append(ProxiedRequest(method, target, headers))
        if self.credentials is not None:
            expected = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
            if headers.get("proxy-authorization") != expected:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        behind, onward = await self._connect(url.hostname or "", url.port or 80)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = url._replace(scheme="", netloc="").geturl() or "/"
            passed = [
                f"{name}:{value}" for name, _, value in lines if not name.lower().startswith(("proxy-", "connection"))
            ]
            onward.write("\r\n".join([f"{method} {path} {version}", *passed, "Connection: close", "", ""]).encode())
        try:
            await asyncio.gather(_pump(reader, onward), _pump(behind, writer))
        finally:
            await _close(onward)

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.hosts.get(host, (host, port)))


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()
