from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wandb_artifacts.lab import open_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.lab import Lab


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lab]:
    """A server of the test's own, and an environment that knows no other."""
    with open_lab(monkeypatch, tmp_path) as lab:
        yield lab
