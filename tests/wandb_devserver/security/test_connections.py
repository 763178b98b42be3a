"""Denial of service: slow requests, many connections, invalid HTTP."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from wandb_devserver import DevServer
from wandb_devserver._http import body, connections

from tests.support import loopback
from tests.wandb_devserver.security.support import running_command

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

FEW_DESCRIPTORS = "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
QUERY = b'{"query": "{ viewer { entity } }"}'


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)


def request_head(api_key: str, length: int = len(QUERY)) -> bytes:
    credentials = base64.b64encode(f"api:{api_key}".encode()).decode()
    return (
        f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def exchange(client: socket.socket, api_key: str) -> bytes:
    client.sendall(request_head(api_key) + QUERY)
    response = b""
    while not response.endswith(b"}}}") and (part := client.recv(65536)):
        response += part
    return response


def is_closed(client: socket.socket) -> bool:
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for a test that sends at once on a busy machine.
    monkeypatch.setattr(connections, "STRANGER_TIMEOUT", 2.0)


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
@pytest.mark.usefixtures("short_timeout")
def test_connection_without_a_request_head_times_out(server: DevServer, sent: bytes) -> None:
    with connect(server.url) as client:
        client.sendall(sent)

        assert is_closed(client)


@pytest.mark.usefixtures("short_timeout")
def test_refused_request_does_not_extend_the_timeout(server: DevServer) -> None:
    """The client cannot keep the connection open by sending the body slowly after the 401."""
    with connect(server.url) as client:
        client.sendall(b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")

        assert b"401" in client.recv(65536)
        assert is_closed(client)


def test_missing_body_times_out(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT", 0.2)
    with connect(server.url) as client:
        client.sendall(request_head(server.api_key, length=1000) + b"{")

        assert client.recv(65536).startswith(b"HTTP/1.1 408")
        assert is_closed(client)


def test_unauthenticated_connections_do_not_block_clients(tmp_path: Path) -> None:
    """A client connects despite 400 connections with half a head to a server with 256 descriptors."""
    with running_command(tmp_path, first=FEW_DESCRIPTORS) as server, ExitStack() as crowd:
        early = crowd.enter_context(connect(server.url))
        assert b"200 OK" in exchange(early, server.api_key)
        for _ in range(400):
            crowd.enter_context(connect(server.url)).sendall(HALF_A_HEAD)

        assert b"200 OK" in exchange(early, server.api_key)
        headers, auth = {"Content-Type": "application/json"}, ("api", server.api_key)
        late = loopback.post(server.url + "/graphql", content=QUERY, headers=headers, auth=auth)
        assert late.status_code == 200


def test_idle_connections_do_not_block_clients(tmp_path: Path) -> None:
    """The connection that was idle for longest is closed."""
    with running_command(tmp_path, first=FEW_DESCRIPTORS) as server, ExitStack() as crowd:
        clients: list[socket.socket] = []
        for _ in range(300):
            clients.append(crowd.enter_context(connect(server.url)))
            assert b"200 OK" in exchange(clients[-1], server.api_key)

        assert is_closed(clients[0])
        assert b"200 OK" in exchange(clients[-2], server.api_key)


def test_idle_client_stays_connected(server: DevServer) -> None:
    """The SDK sends again after 5 s of silence: uvicorn's default of 5 s lost that request."""
    with connect(server.url) as client:
        assert b"200 OK" in exchange(client, server.api_key)
        client.settimeout(6)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(30)

        assert b"200 OK" in exchange(client, server.api_key)
    assert connections.KEEP_ALIVE > 60


def test_invalid_http_does_not_fill_the_log(tmp_path: Path) -> None:
    """It is logged a few times a minute."""
    with running_command(tmp_path / "data") as server:
        for _ in range(200):
            with connect(server.url) as client:
                client.sendall(b"\x16\x03\x01 noise\r\n\r\n")
                assert b"400" in client.recv(65536)

    assert 0 < len(server.errors.read_text().splitlines()) <= 10


def test_connections_that_arrive_during_the_stop_are_closed() -> None:
    """None stays open until the garbage collection: a client would wait, and a test be warned."""
    for _ in range(10):
        clients: list[socket.socket] = []
        some = threading.Semaphore(0)
        with DevServer() as server:
            thread = threading.Thread(target=connect_while_possible, args=(server.url, clients, some))
            thread.start()
            for _ in range(3):
                assert some.acquire(timeout=30)
        thread.join()
        for client in clients:
            with client, contextlib.suppress(ConnectionResetError):
                client.settimeout(30)
                assert client.recv(1) == b""


def connect_while_possible(url: str, clients: list[socket.socket], arrived: threading.Semaphore) -> None:
    with contextlib.suppress(OSError):
        while True:
            clients.append(connect(url))
            arrived.release()
