"""The order of wandb's system tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from scripts.conformance.plugins.conformance_order import pytest_collection_modifyitems


def test_files_that_change_shared_values_run_last() -> None:
    names = ["test_a.py", "test_launch_scheduler.py", "test_sweep_public_api.py", "test_a.py"]
    items = [SimpleNamespace(path=Path(name)) for name in names]

    pytest_collection_modifyitems(items)  # type: ignore[arg-type]

    assert [item.path.name for item in items] == [names[0], names[2], names[3], names[1]]
