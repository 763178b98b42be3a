"""A server on loopback that responds to the doctor as a test needs: with another time, by TLS, a read-only project."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True)
class Script:
    """The responses of the server."""

    ahead: float = 0.0
    """Seconds by which its clock is ahead."""
    is_read_only: bool = False
    status: int = 200
    body: bytes | None = None
    """The body of every response; None for the responses of W&B."""
    tls: ssl.SSLContext | None = None


@contextmanager
def serve(script: Script) -> Iterator[str]:
    """Serve for the duration of the block; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) + script.ahead)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def do_GET(self) -> None:
            self.reply(b"")

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            viewer = {"username": "ada", "entity": "ada", "teams": None}
            project = {"name": "p", "readOnly": script.is_read_only}
            data = {"viewer": viewer} if "viewer" in request["query"] else {"project": project}
            self.reply(json.dumps({"data": data}).encode())

        def reply(self, content: bytes) -> None:
            content = content if script.body is None else script.body
            self.send_response(script.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if script.tls is not None:
        server.socket = script.tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if script.tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)
