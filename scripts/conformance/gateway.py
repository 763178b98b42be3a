"""A stand-in for W&B's test container: one wandb-devserver per test user, behind a reverse proxy.

wandb's system tests expect two ports:

* the fixture port creates and deletes users, teams and organizations;
* the base port serves W&B. A user's API key is the user's name, as in W&B's container. Each user gets a separate
  DevServer, with that name as its entity and its key. A request goes to the server of its key; a signed URL, which
  needs no key, to the server that issued it. A request with an unknown key, or without one, goes to a server that
  accepts none of the keys.

Requests and responses pass unchanged. LOG_DIR/requests.jsonl has a line for each request; LOG_DIR/devserver.log has
the log of the servers. The file runs in any environment that has wandb-devserver and httpx.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import logging
import re
import signal
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from wandb_devserver import DevServer

# Older versions of the server lack them: they serve no organizations, and no users beside the owner.
with contextlib.suppress(ImportError):
    from wandb_devserver._storage import organizations
with contextlib.suppress(ImportError):
    from wandb_devserver._storage import users

if TYPE_CHECKING:
    from starlette.requests import Request
    from wandb_devserver._storage.database import Database

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
SIGNED = re.compile(rb"/signed/(?:artifacts/)?([A-Za-z0-9_=.-]+)")
OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-authorization"}
# Longer than any test: no run may look crashed because the machine is busy.
HEARTBEAT_TIMEOUT = 300.0
# More than the users of the tests that run at the same time.
MAX_RUNNING = 24


@dataclass
class User:
    """A user with a server, which stores its data in a folder while it does not run."""

    server: DevServer
    known: set[str] = field(default_factory=set)
    """The other users that the server has a record of."""


class Farm:
    """The servers by user, and the user of each signed URL.

    Only the servers that were used last run: each costs a few wakeups a second, and a test run makes hundreds of users.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users: dict[str, User] = {}
        # In order of last use.
        self._running: dict[str, DevServer] = {}
        self._signed: dict[str, str] = {}
        self._lock = threading.Lock()
        self._nobody = DevServer(api_key="n" * 40, entity="nobody").start()

    def add(self, name: str) -> None:
        with self._lock:
            if name not in self._users:
                folder = self._folder / str(len(self._users))
                server = DevServer(folder, api_key=name, entity=name, heartbeat_timeout=HEARTBEAT_TIMEOUT)
                self._users[name] = User(server)
                self._run(name)
                self._introduce_all()

    def server(self, name: str | None) -> DevServer:
        """Return the running server of a user."""
        with self._lock:
            return self._run(name) if name in self._users else self._nobody

    def add_organization(self, user: str, name: str) -> None:
        """Create an organization on a user's server."""
        with database(self.server(user)).write() as connection:
            organizations.add(connection, name)

    def add_team(self, user: str, name: str, organization: str) -> None:
        """Create a team of an organization on a user's server."""
        with database(self.server(user)).write() as connection:
            organizations.add_team(connection, name, organizations.add(connection, organization).id)

    def stop(self) -> None:
        for server in (*self._running.values(), self._nobody):
            server.stop()

    def user(self, request: Request) -> str | None:
        """The user of a request's key, or of its signed URL."""
        name = basic_password(request.headers.get("authorization", ""))
        if name in self._users:
            return name
        found = SIGNED.search(request.url.path.encode())
        return self._signed.get(found[1].decode()) if found else None

    def remember_signed(self, user: str, content: bytes) -> None:
        """Note the user of the signed URLs in a response."""
        self._signed.update((token.decode(), user) for token in SIGNED.findall(content))

    def _run(self, name: str) -> DevServer:
        """Start a user's server if it does not run, and stop the one that was not used for longest."""
        if name in self._running:
            self._running[name] = self._running.pop(name)
            return self._running[name]
        self._running[name] = server = self._users[name].server.start()
        self._introduce_all()
        if len(self._running) > MAX_RUNNING:
            self._running.pop(next(iter(self._running))).stop()
        return server

    def _introduce_all(self) -> None:
        """Make all users known to the running servers, whose users can add them to registries."""
        if "users" not in globals():
            return
        for name, server in self._running.items():
            user = self._users[name]
            if unknown := self._users.keys() - user.known - {name}:
                with database(server).write() as connection:
                    for other in sorted(unknown):
                        users.add(connection, other, f"{other}@localhost")
                user.known |= unknown


def database(server: DevServer) -> Database:
    """The records of a server, because W&B's API cannot create organizations."""
    return server._live.backend.database  # noqa: SLF001


def basic_password(header: str) -> str | None:
    """The password of Basic credentials."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    with contextlib.suppress(ValueError):
        return base64.b64decode(credentials).decode().partition(":")[2]
    return None


class Log:
    """The requests, one JSON line each."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1, encoding="utf-8")

    def write(self, **entry: object) -> None:
        self._file.write(json.dumps({"time": round(time.time(), 3), **entry}) + "\n")


class Proxy:
    """The base port."""

    def __init__(self, farm: Farm, log: Log) -> None:
        self._farm = farm
        self._log = log
        self._client = httpx.AsyncClient(timeout=300, limits=httpx.Limits(max_connections=None), trust_env=False)

    async def forward(self, request: Request) -> Response:
        if request.url.path == "/ready":
            return PlainTextResponse("ok")
        user = self._farm.user(request)
        body = await request.body()
        entry: dict[str, object] = {"user": user, "method": request.method, "path": request.url.path[:200]}
        try:
            server = await asyncio.to_thread(self._farm.server, user)
            status, headers, content = await self._send(request, server.url, body)
        except httpx.HTTPError as error:
            self._log.write(**entry, error=repr(error))
            return PlainTextResponse(f"gateway: {error!r}", 502)
        is_graphql = request.url.path == "/graphql"
        if is_graphql and user:
            self._farm.remember_signed(user, content)
        details = graphql_details(body, status, content) if is_graphql else failure(status, content)
        self._log.write(**entry, status=status, **details)
        return rebuild(status, headers, content)

    async def _send(self, request: Request, base_url: str, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        url = base_url + request.scope["raw_path"].decode()
        if request.scope["query_string"]:
            url += "?" + request.scope["query_string"].decode()
        # The header Host stays the client's, so that the URLs in the response lead here.
        headers = end_to_end(request.headers.raw)
        async with self._client.stream(request.method, url, headers=headers, content=body) as response:
            # Undecoded: the client gets the bytes that the server sent.
            return response.status_code, response.headers.raw, b"".join([part async for part in response.aiter_raw()])


def end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that a proxy passes on."""
    return [(name, value) for name, value in headers if name.lower().decode() not in HOP_BY_HOP]


def rebuild(status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> Response:
    response = Response(content, status)
    response.raw_headers = [(name.lower(), value) for name, value in end_to_end(headers)]
    has_length = any(name == b"content-length" for name, _ in response.raw_headers)
    if not has_length and status not in (204, 304):
        response.raw_headers.append((b"content-length", str(len(content)).encode()))
    return response


def graphql_details(body: bytes, status: int, content: bytes) -> dict[str, object]:
    """The operation, and the variables where the response has errors."""
    try:
        document = json.loads(body)
        named = OPERATION.search(document.get("query", ""))
    except ValueError:
        return {"operation": "invalid JSON", **failure(status, content)}
    details: dict[str, object] = {"operation": named[1] if named else document.get("operationName")}
    if status >= 400 or b'"errors"' in content:
        details["error"] = content.decode(errors="replace")[:1500]
        details["variables"] = json.dumps(document.get("variables"))[:800]
    return details


def failure(status: int, content: bytes) -> dict[str, object]:
    return {"error": content.decode(errors="replace")[:500]} if status >= 400 else {}


class Fixtures:
    """The fixture port: makes the users that the tests request."""

    def __init__(self, farm: Farm, log: Log) -> None:
        self._farm = farm
        self._log = log

    async def run(self, request: Request) -> Response:
        command = await request.json()
        kind = request.path_params["kind"]
        self._log.write(fixture=kind, command=command)
        await asyncio.to_thread(self._create, kind, command)
        return JSONResponse({"ok": True})

    def _create(self, kind: str, command: dict[str, Any]) -> None:
        """Carry out a command; those that no devserver knows, such as members of an organization, do nothing."""
        match kind, command["command"]:
            case "user", "up" | "password" | "login":
                self._farm.add(command["username"])
            case "organization", "up":
                self._farm.add_organization(command["username"], command["orgName"])
            case "team", "up":
                state = command["fixtureData"]
                self._farm.add_team(command["username"], state["team"]["name"], state["organization"]["name"])

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok")


def log_servers(file: Path) -> None:
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(message)s"))
    logging.getLogger("wandb_devserver").setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)


def listen() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    return listener


async def serve(apps: list[Starlette]) -> None:
    """Serve each application on a free port; print the ports in their order as JSON."""
    listeners = [listen() for _ in apps]
    # Clients reuse connections after up to a minute, and uvicorn closes them after 5 s by default.
    options: dict[str, Any] = {"log_config": None, "lifespan": "off", "http": "h11", "timeout_keep_alive": 75}
    servers = [uvicorn.Server(uvicorn.Config(app, **options)) for app in apps]
    # uvicorn raises the signal again after it has shut down; the servers of the farm are still to be stopped.
    signal.signal(signal.SIGTERM, lambda *_: None)
    print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)
    await asyncio.gather(
        *(server.serve(sockets=[listener]) for server, listener in zip(servers, listeners, strict=True))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("log_dir", type=Path)
    log_dir = parser.parse_args().log_dir
    log_servers(log_dir / "devserver.log")
    log = Log(log_dir / "requests.jsonl")
    data = tempfile.TemporaryDirectory(prefix="wandb-conformance-data-")
    farm = Farm(Path(data.name))
    proxy = Proxy(farm, log)
    fixtures = Fixtures(farm, log)
    routes = [Route("/health", fixtures.health), Route("/db/{kind}", fixtures.run, methods=["POST"])]
    base = Starlette(routes=[Route("/{rest:path}", proxy.forward, methods=METHODS)])
    try:
        asyncio.run(serve([base, Starlette(routes=routes)]))
    finally:
        farm.stop()
        data.cleanup()


if __name__ == "__main__":
    main()
