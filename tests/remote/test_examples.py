"""The files in examples/, run on a cluster as their docstrings say: `python examples/NAME.py --remote`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flyteplugins.wandb import wandb_config

from tests.support.control_plane.driver import DOMAIN, ORG, PROJECT
from tests.support.control_plane.plane import ControlPlane
from tests.support.control_plane.processes import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb_devserver import DevServer

    from tests.support.object_store import ObjectStore

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIGURATION = """
admin: {{endpoint: "{endpoint}", insecure: true}}
task: {{org: {org}, project: {project}, domain: {domain}}}
image: {{builder: remote}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's project: the examples, and the folder of the wheels that their images install."""
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES, project / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "dist").mkdir()
    (project / "dist" / "flyteplugins_wandb-0.1.0-py3-none-any.whl").touch()
    return project


@pytest.fixture
def plane(
    folder: Path, tmp_path: Path, object_store: ObjectStore, wandb_devserver: DevServer
) -> Iterator[ControlPlane]:
    """A control plane whose pods know the server's URL; the key is a secret of Flyte."""
    url = {"WANDB_BASE_URL": wandb_devserver.url}
    secrets = {"wandb-api-key": wandb_devserver.api_key}
    with ControlPlane(
        tmp_path / "flyte", env=url, driver_env=url, secrets=secrets, store=object_store, root=folder
    ) as plane:
        yield plane


def run_remotely(name: str, folder: Path, plane: ControlPlane, server: DevServer) -> None:
    """Run an example as a script with a Flyte configuration."""
    configuration = folder / "config.yaml"
    text = CONFIGURATION.format(endpoint=plane.endpoint, org=ORG, project=PROJECT, domain=DOMAIN)
    configuration.write_text(text)
    env = {**clean_environment(folder / "home", Path(sys.executable).parent), **plane.store.env}
    env |= {"FLYTECTL_CONFIG": str(configuration), "WANDB_BASE_URL": server.url}
    # A process that the tests have not preloaded: Flyte bundles the modules that it has loaded.
    command = [sys.executable, f"examples/{name}.py", "--remote"]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{plane.describe()}"


@pytest.mark.parametrize("name", ["quickstart", "self_hosted"])
def test_example_runs_on_a_cluster(name: str, folder: Path, plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """The pods get the key as a secret."""
    run_remotely(name, folder, plane, wandb_devserver)

    runs = wandb_devserver.runs()
    assert runs
    assert {run.state for run in runs} == {"finished"}
    assert all(run.history for run in runs)


def test_example_resumes_from_its_checkpoint(folder: Path, plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """An attempt that fails leaves a checkpoint and a run, and the next one continues both."""
    context = wandb_config(project="resume", entity="local")
    flyte_run = plane.run("examples.resume:train", context=context)

    (run,) = wandb_devserver.runs("local/resume")
    assert flyte_run.result == (5,)
    assert len(flyte_run.root.attempts) == 2
    assert (run.state, [row["epoch"] for row in run.history]) == ("finished", list(range(10)))
