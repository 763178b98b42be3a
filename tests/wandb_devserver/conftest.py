from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer

from tests.wandb_devserver.support import RawClient, Scripts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[DevServer]:
    with DevServer() as running:
        yield running


@pytest.fixture
def scripts(server: DevServer, tmp_path: Path) -> Scripts:
    return Scripts(server, tmp_path)


@pytest.fixture
def raw(server: DevServer) -> Iterator[RawClient]:
    client = RawClient(server)
    with client:
        yield client
