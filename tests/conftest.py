from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.sdk_settings import LIGHT_RUNS

if TYPE_CHECKING:
    from wandb_devserver import DevServer

# How fast the machine is decides no test.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few examples", settings.get_profile("any speed"), max_examples=10)
settings.load_profile("any speed")

_TESTS = Path(__file__).parent
# One certificate, whose key nobody has: every HTTP client of every process parses those that it trusts, by default 140
# of them for 40 ms.
os.environ["SSL_CERT_FILE"] = str(_TESTS / "support" / "authority.pem")
_SLOW_FOLDERS = {"benchmarks", "control_plane", "e2e", "examples", "remote"}
_SLOW_FIXTURES = {"chromium", "scripts"}


@pytest.fixture
def wandb_devserver(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> DevServer:
    """The plugin's fixture, with light runs in the test's process and in the processes that it starts."""
    for name, value in LIGHT_RUNS.items():
        monkeypatch.setenv(name, value)
    return wandb_devserver


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start processes of Flyte, W&B or a browser as slow, as some modules mark theirs."""
    for item in items:
        folder = item.path.relative_to(_TESTS).parts[0]
        if folder in _SLOW_FOLDERS or _SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
