from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb_devserver import DevServer

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


@pytest.fixture(scope="session")
def server() -> Iterator[DevServer]:
    """One server for all tests; they change nothing on it, except for faults."""
    with DevServer() as server:
        yield server


@pytest.fixture(autouse=True)
def environment(server: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that knows only the server, with its key, and directories of the test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in (*_PROXIES, *(name.lower() for name in _PROXIES), *_CERTIFICATES):
        monkeypatch.delenv(name, raising=False)
    folders = {name: str(tmp_path / name) for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")}
    known = {**folders, "WANDB_CONFIG_DIR": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    for name, value in {**known, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": server.api_key}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
