from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wandb_artifacts.wandb_backend import open_backend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbBackend]:
    """Start a server for one test, and point the environment to it."""
    with open_backend(monkeypatch, tmp_path) as backend:
        yield backend
