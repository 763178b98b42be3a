from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer

from tests.wandb_artifacts.wandb_backend import open_backend, open_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbBackend]:
    """Start a server for one test, and point the environment to it."""
    with open_backend(monkeypatch, tmp_path) as backend:
        yield backend


_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[DevServer]:
    """A server for tests that each use a separate project; its requests are counted for all of them together."""
    with DevServer() as server:
        yield server


@pytest.fixture
def project(shared_server: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbBackend]:
    """An empty project on the shared server, and an environment that knows no other server."""
    with open_project(monkeypatch, tmp_path, shared_server, f"project-{next(_numbers)}") as project:
        yield project
