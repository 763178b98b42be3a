"""A browser tab for tests of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Tab, chromium, open_tab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb_devserver import DevServer

__all__ = ["chromium"]


@pytest.fixture
def tab(chromium: Any, server: DevServer) -> Iterator[Tab]:
    with open_tab(chromium, server) as opened:
        yield opened
