from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb_devserver import DevServer

from tests.support.control_plane.plane import ControlPlane
from tests.support.fixtures import object_store
from tests.support.object_store import ObjectStore
from tests.support.sdk_settings import LIGHT_RUNS

__all__ = ["object_store", "plane"]

_PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def plane(tmp_path: Path, object_store: ObjectStore, wandb_devserver: DevServer) -> Iterator[ControlPlane]:
    """A control plane whose pods log to the W&B server; its drivers only know the server's URL.

    The code bundle contains `project`, whose tasks are named `module:task`. It must not contain the repository, since
    users install the libraries.
    """
    pod_env, driver_env = {**wandb_devserver.env, **LIGHT_RUNS}, {"WANDB_BASE_URL": wandb_devserver.url}
    with ControlPlane(
        tmp_path / "flyte", env=pod_env, driver_env=driver_env, store=object_store, root=_PROJECT
    ) as plane:
        yield plane
