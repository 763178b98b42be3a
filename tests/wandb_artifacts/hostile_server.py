"""A server that returns arbitrary bytes as W&B's responses, and valid responses to modify."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest

KEY = "k" * 40
BODY = b"12345"
_OPERATION = re.compile(r"\s*(?:query|mutation)\s+(\w+)")
_DEEP = '"@deep@"'
DEEP = "@deep@"
"""Stands for a value that is nested too deeply to be encoded."""


@dataclass
class HostileServer:
    """A server on loopback; a test may replace `respond` and `send` at any time."""

    url: str = ""
    documents: dict[str, Any] = field(default_factory=dict)
    """The `data` of the response to each operation."""
    respond: Callable[[str, dict[str, Any]], object] | None = None
    """Returns the whole response to an operation with its variables, in place of `documents`."""
    respond_raw: Callable[[BaseHTTPRequestHandler], object] | None = None
    """Sends the response to a POST request, in place of all others."""
    send: Callable[[HostileServer, BaseHTTPRequestHandler], object] | None = None
    """Sends the response to a GET request."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of GraphQL requests."""
    headers: dict[str, str] = field(default_factory=dict)
    """The headers of the last request."""

    def reset(self) -> None:
        """Return valid responses from now on."""
        self.documents = documents(self.url)
        self.respond = self.respond_raw = self.send = None

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        if self.respond_raw:
            self.respond_raw(handler)
            return
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.headers = dict(handler.headers)
        self.requests.append(request)
        found = _OPERATION.match(request["query"])
        assert found
        operation = found[1]
        if operation == "Runs" and "sweep" not in request["variables"]:
            operation = "RunIds"
        if self.respond:
            response = self.respond(operation, request["variables"])
        else:
            response = {"data": self.documents[operation]}
        send(handler, response if isinstance(response, bytes) else encode(response))

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        if self.send:
            self.send(self, handler)
        else:
            send(handler, BODY)


def encode(response: object) -> bytes:
    text = json.dumps(response)
    return text.replace(_DEEP, "[" * 100_000 + "]" * 100_000).encode()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def stream(handler: BaseHTTPRequestHandler, pieces: Iterable[bytes], **headers: str) -> int:
    """Send pieces until the client closes the connection; returns the number of bytes sent."""
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.close_connection = True
    sent = 0
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            handler.wfile.write(piece)
            sent += len(piece)
    return sent


@contextlib.contextmanager
def open_hostile_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    """Serve in a thread; the environment knows only this server."""
    server = HostileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            server.post(self)

        def do_GET(self) -> None:
            server.get(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        server.url = f"http://127.0.0.1:{listener.server_port}"
        server.reset()
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


def page(*nodes: object, following: str | None = None) -> dict[str, Any]:
    """A page of a GraphQL connection."""
    edges = [{"node": node, "cursor": f"c{at}"} for at, node in enumerate(nodes)]
    return {"edges": edges, "pageInfo": {"hasNextPage": following is not None, "endCursor": following}}


def file_node(url: str, name: str = "a.txt", body: bytes = BODY) -> dict[str, Any]:
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {
        "name": name,
        "url": f"{url}/files/{name}",
        "sizeBytes": len(body),
        "md5": base64.b64encode(digest).decode(),
        "updatedAt": "2026-01-01T00:00:00",
    }


def run_node(url: str, name: str = "r", **changes: object) -> dict[str, Any]:
    return {
        "name": name,
        "displayName": "calm-sea-1",
        "state": "finished",
        "summaryMetrics": '{"x": 2}',
        "config": '{"lr": {"value": 0.1}}',
        "tags": ["t"],
        "notes": None,
        "group": None,
        "jobType": None,
        "sweepName": None,
        "createdAt": "2026-01-01T00:00:00",
        "heartbeatAt": "2026-01-01T00:00:00",
        "historyLineCount": 2,
        "historyKeys": {"lastStep": 1},
        "files": page(file_node(url)),
        **changes,
    }


def documents(url: str) -> dict[str, Any]:
    """Valid data for each operation of the client."""
    run = run_node(url)
    return {
        "Run": {"project": {"run": run}},
        "RunFiles": {"project": {"run": {"files": page(file_node(url))}}},
        "RunSnapshot": {"project": {"run": run}},
        "RunState": {"project": {"run": {"name": "r", "state": "finished"}}},
        "HistoryPage": {"project": {"run": {"history": ['{"_step": 0, "x": 1}', '{"_step": 1, "x": 2}']}}},
        "GetSweep": {"project": {"sweep": {"name": "s", "state": "FINISHED"}}},
        "Runs": {"project": {"sweep": {"name": "s", "state": "FINISHED"}, "runs": page(run_node(url))}},
        "RunIds": {"project": {"runs": page({"name": "r"})}},
        "GetProjects": {"models": page({"name": "p"})},
        "Viewer": {"viewer": {"id": "v", "entity": "e"}},
    }
