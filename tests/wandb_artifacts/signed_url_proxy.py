"""A proxy like W&B's cloud: one host for requests, another for files behind signed URLs that expire."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from tests.support import loopback

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self
    from wandb_devserver import DevServer

    Handler = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]


@dataclass
class SignedUrlProxy:
    """A reverse proxy of a server. `url` replaces the server's URL; files are at `storage`, under a signature."""

    server: DevServer
    redirects: bool = False
    """Whether file URLs point to W&B, which redirects, or directly to the storage."""
    ranges: str = "known"
    """Whether the storage supports ranges: "known", "unknown", or it returns "others" than requested."""
    signature: str = "first"
    """The valid signature; URLs with another one have expired."""
    expired: int = 403
    """The storage's status for expired URLs: 403 like S3, or 400 like Google."""
    edit: Callable[[list[dict[str, Any]]], object] = len
    """Edits the files of a run in a response."""
    storage_headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request to the storage."""
    given: int = 0
    """Bytes of files that the storage has sent."""
    most: int = 0
    """The largest number of concurrent requests to the storage."""
    tls: ssl.SSLContext | None = None
    """Serves https with this context."""
    url: str = ""
    storage: str = ""
    api_headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request to W&B's own host."""

    _now: int = 0

    def __enter__(self) -> Self:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _serve(self, started: threading.Event) -> None:
        async def main() -> None:
            self._stop = asyncio.Event()
            auth = ("api", self.server.api_key)
            async with loopback.AsyncClient(base_url=self.server.url, auth=auth) as self._behind:
                first, self.url = await self._listen(self._forward)
                second, self.storage = await self._listen(self._send)
                started.set()
                await self._stop.wait()
                for runner in (first, second):
                    assert runner.server
                    # Closed regularly, one with TLS would wait for its client, and be left open with the loop.
                    for connection in [*runner.server.connections]:
                        if connection.transport:
                            connection.transport.abort()
                    await runner.cleanup()

        self._loop.run_until_complete(main())
        self._loop.close()

    async def _listen(self, handler: Handler) -> tuple[web.AppRunner, str]:
        runner = web.AppRunner(app := web.Application(), shutdown_timeout=0.1)
        app.router.add_route("*", "/{path:.*}", handler)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        return runner, f"http{'s' if self.tls else ''}://127.0.0.1:{runner.addresses[0][1]}"

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        self.api_headers.append(dict(request.headers))
        if request.method == "GET":
            raise web.HTTPFound(f"{self.storage}/{self.signature}{request.raw_path}")
        response = await self._behind.request(
            request.method,
            request.raw_path,
            content=await request.read(),
            headers={"Content-Type": request.headers.get("Content-Type", "")},
        )
        place = self.url if self.redirects else f"{self.storage}/{self.signature}"
        body = response.text.replace(f"{self.server.url}/files", f"{place}/files")
        body = body.replace(f"{self.server.url}/signed", f"{place}/signed")
        data = json.loads(body)
        run = ((data.get("data") or {}).get("project") or {}).get("run") or {}
        if "files" in run:
            self.edit(run["files"]["edges"])
            body = json.dumps(data)
        return web.Response(text=body, status=response.status_code, content_type="application/json")

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.storage_headers.append(dict(request.headers))
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            return await self._file(request)
        finally:
            self._now -= 1

    async def _file(self, request: web.Request) -> web.StreamResponse:
        signature, _, path = request.raw_path.lstrip("/").partition("/")
        if signature != self.signature:
            return web.Response(status=self.expired, text="<Error><Code>ExpiredToken</Code></Error>")
        requested = request.headers.get("Range")
        passed = {"Range": requested} if requested and self.ranges != "unknown" else {}
        if self.ranges == "others" and passed:
            passed = {"Range": "bytes=7-"}
        body = await request.read() if request.can_read_body else None
        response = await self._behind.request(request.method, f"/{path}", headers=passed, content=body)
        self.given += len(response.content)
        kept = {name: value for name, value in response.headers.items() if name.lower() == "content-range"}
        return web.Response(body=response.content, status=response.status_code, headers=kept)
