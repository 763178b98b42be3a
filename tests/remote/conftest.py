from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb_devserver import DevServer

from tests.support.control_plane.plane import ControlPlane
from tests.support.fixtures import object_store
from tests.support.object_store import ObjectStore

__all__ = ["object_store", "plane"]

_PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def plane(tmp_path: Path, object_store: ObjectStore, wandb_devserver: DevServer) -> Iterator[ControlPlane]:
    """A control plane whose pods log to the W&B server; its drivers only know where that is.

    The code bundle is made of what is in `project`, whose tasks are named `module:task`. It must not be made of the
    repository: the libraries' modules would be in it, but for those that only pods import. Users have them installed.
    """
    driver_env = {"WANDB_BASE_URL": wandb_devserver.url}
    with ControlPlane(
        tmp_path / "flyte", env=wandb_devserver.env, driver_env=driver_env, store=object_store, root=_PROJECT
    ) as plane:
        yield plane
