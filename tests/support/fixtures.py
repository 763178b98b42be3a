"""Fixtures to import into a conftest: `from tests.support.fixtures import flyte_plane, object_store`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.control_plane.plane import ControlPlane
from tests.support.object_store import ObjectStore

with warnings.catch_warnings():
    # Importing it warns about Flyte's own use of pydantic, which would fail the first test that does.
    warnings.simplefilter("ignore", DeprecationWarning)
    import flyte.io  # noqa: F401


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One S3-compatible store for all planes of the test process."""
    with ObjectStore() as store:
        yield store


@pytest.fixture
def flyte_plane(tmp_path: Path, object_store: ObjectStore) -> Iterator[ControlPlane]:
    """A Flyte control plane for one test."""
    with ControlPlane(tmp_path / "flyte", store=object_store) as plane:
        yield plane
