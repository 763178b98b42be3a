"""Fixtures to import into a conftest: `from tests.support.fixtures import object_store`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import cloudpickle
import pytest
from wandb_sweeps._agents.forkserver import client

from tests.support.object_store import ObjectStore

with warnings.catch_warnings():
    # The import warns about Flyte's own use of pydantic, which would fail the first test.
    warnings.simplefilter("ignore", DeprecationWarning)
    import flyte.io  # noqa: F401


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One S3-compatible store for all planes of the test process."""
    with ObjectStore() as store:
        yield store


@pytest.fixture(scope="session", autouse=True)
def forkserver() -> Iterator[None]:
    """Keep the forkserver of trials between tests: its imports take two seconds."""
    with client.forkserver_in_use():
        yield


@pytest.fixture
def no_forkserver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reset the forkserver, as in a new process."""
    monkeypatch.setattr(client, "_users", 0)
    monkeypatch.setattr(client, "_forkserver", None)


@pytest.fixture
def objectives_by_value(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pickle objectives like those of a script; otherwise each trial imports pytest and the server, for a second."""
    cloudpickle.register_pickle_by_value(request.module)
    yield
    cloudpickle.unregister_pickle_by_value(request.module)
