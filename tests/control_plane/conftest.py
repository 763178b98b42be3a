from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.control_plane.plane import ControlPlane
from tests.support.fixtures import object_store
from tests.support.object_store import ObjectStore

__all__ = ["object_store", "plane"]

PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def plane(tmp_path: Path, object_store: ObjectStore) -> Iterator[ControlPlane]:
    """A control plane whose code bundle contains `project`."""
    with ControlPlane(tmp_path / "flyte", store=object_store, root=PROJECT) as plane:
        yield plane
