"""A destination in an S3-compatible store that accepts connections and does not respond, or drips."""

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from wandb_devserver import DevServer

from tests.e2e.test_cli import Command, backend, command
from tests.support.preloaded.client import popen
from tests.wandb_artifacts.wandb_backend import WandbBackend

__all__ = ["backend", "command"]


class StuckStore:
    """A server on loopback.

    Args:
        drips: Whether it sends a response, one byte every half second; else it sends nothing.
    """

    def __init__(self, drips: bool) -> None:
        self._drips = drips
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._connections: list[socket.socket] = []
        self.is_reached = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Accept connections until `close`."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(1)
            self.is_reached.set()
            rest = iter(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)
            while self._drips and not self._ended.wait(0.5):
                connection.sendall(bytes([next(rest)]))

    def close(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self._connections):
            each.close()


@contextmanager
def stuck_store(drips: bool) -> Iterator[StuckStore]:
    store = StuckStore(drips)
    threading.Thread(target=store.serve, daemon=True).start()
    try:
        yield store
    finally:
        store.close()


CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# A preloaded interpreter has imported Flyte, which registers another driver.
COMMAND = """
import fsspec, s3fs
fsspec.register_implementation("s3", s3fs.S3FileSystem, clobber=True)
from wandb_artifacts.__main__ import main
main()
"""


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 5)], ids=["SIGINT", "SIGTERM", "deadline"]
)
def test_stuck_store_delays_neither_deadline_nor_signals(
    command: Command,
    backend: WandbBackend,
    wandb_devserver: DevServer,
    drips: bool,
    number: signal.Signals | None,
    code: int,
) -> None:
    """The store would keep the command for minutes."""
    path = backend.run(files={"a": b"1"})
    limit = ("--deadline", "3") if number is None else ()
    with stuck_store(drips) as store:
        where = ("s3://bucket/x", "--storage-option", f"endpoint_url={store.url}", *limit)
        arguments = [sys.executable, "-c", COMMAND, "run", path, *where]
        with popen(arguments, {**command.environment, **CREDENTIALS}, command.folder) as process:
            try:
                if number is not None:
                    assert store.is_reached.wait(30)
                    process.send_signal(number)
                done = command.end(process)
            finally:
                process.kill()

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
