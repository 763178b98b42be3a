"""pytest plugin: runs files last that change what other tests share.

wandb's own CI distributes the tests to many processes, which hides that. Each process runs its tests in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# test_launch_scheduler.py writes into the sweep configurations that test_sweep_public_api.py reads too.
_LAST = {"test_launch_scheduler.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name in _LAST)
