"""The pytest fixture, in separate pytest processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def run_pytest(folder: Path, tests: str, **variables: str) -> str:
    (folder / "test_user.py").write_text(tests)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_user.py"],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout + done.stderr


def test_fixture_isolates_tests_of_one_process(tmp_path: Path) -> None:
    """Each test has its own server, although wandb has settings and a service process per process."""
    output = run_pytest(
        tmp_path,
        """
import pytest, wandb

@pytest.mark.parametrize("value", [1, 2])
def test_run_is_logged(wandb_devserver, value):
    with wandb.init(project="p", id="r") as run:
        run.log({"value": value})
    assert [row["value"] for row in wandb_devserver.run("local/p/r").history] == [value]
    assert wandb.Api().run("local/p/r").summary["value"] == value
    assert len(wandb_devserver.runs()) == 1
""",
    )
    assert "2 passed" in output, output


def test_fixture_isolates_and_restores_the_environment(tmp_path: Path) -> None:
    """WANDB_* variables are removed for the test; those that wandb sets are removed afterwards."""
    output = run_pytest(
        tmp_path,
        """
import os
import pytest

@pytest.fixture(scope="module", autouse=True)
def check_afterwards():
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    assert {n: v for n, v in after.items() if n.startswith("WANDB_")} == {
        n: v for n, v in before.items() if n.startswith("WANDB_")}

def test_environment_names_the_server(wandb_devserver, tmp_path):
    assert "WANDB_PROJECT" not in os.environ
    assert "WANDB_MODE" not in os.environ
    assert os.environ["WANDB_BASE_URL"] == wandb_devserver.url
    assert os.environ["WANDB_DIR"].startswith(str(tmp_path))
    import wandb
    wandb.init(project="p", id="r").finish()
    assert "WANDB_SERVICE" in os.environ
    assert wandb_devserver.run("local/p/r").state == "finished"
""",
        WANDB_PROJECT="elsewhere",
        WANDB_MODE="disabled",
        WANDB_API_KEY="y" * 40,
    )
    assert "1 passed" in output, output


def test_fixture_does_not_import_wandb(tmp_path: Path) -> None:
    output = run_pytest(
        tmp_path,
        """
import sys

def test_wandb_is_not_imported(wandb_devserver):
    assert wandb_devserver.runs() == []
    assert "wandb" not in sys.modules
""",
    )
    assert "1 passed" in output, output


def test_open_run_ends_with_its_test(tmp_path: Path) -> None:
    """The next test has a separate run."""
    output = run_pytest(
        tmp_path,
        """
import wandb

def test_run_stays_open(wandb_devserver):
    wandb.init(project="p", id="left").log({"a": 1})

def test_no_run_is_open(wandb_devserver):
    assert wandb.run is None
    with wandb.init(project="p") as run:
        assert run.id != "left"
    assert len(wandb_devserver.runs()) == 1
""",
    )
    assert "2 passed" in output, output
