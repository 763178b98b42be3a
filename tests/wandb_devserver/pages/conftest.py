"""A browser tab for tests of the pages."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from wandb_devserver import DevServer

from tests.support.browser import Tab, chromium, open_tab

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["chromium"]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A port that no other process gets between two tests."""
    with socket.socket() as reserved:
        # A server can listen on it nevertheless.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def server(port: int) -> Iterator[DevServer]:
    """A server for each test, with the URL of the previous one: the browser has its scripts in its cache."""
    with DevServer(port=port) as running:
        yield running


@pytest.fixture
def tab(chromium: Any, server: DevServer) -> Iterator[Tab]:
    with open_tab(chromium, server) as opened:
        yield opened
