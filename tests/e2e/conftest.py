import pytest

from tests.support.fixtures import forkserver, no_forkserver, objectives_by_value

__all__ = ["forkserver", "no_forkserver", "objectives_by_value"]


@pytest.fixture(autouse=True)
def settings_that_fail_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the SDK from waiting minutes for a server that a test has broken."""
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "20")
