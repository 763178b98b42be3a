from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from wandb_devserver import DevServer

from tests.wandb_artifacts.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lab]:
    """A server of the test's own, and an environment that knows no other."""
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with DevServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", server.api_key)
        with httpx.Client(base_url=server.url, auth=("api", server.api_key), timeout=30) as http:
            yield Lab(server, http)
