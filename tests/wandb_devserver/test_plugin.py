"""The pytest fixture, as a user of it meets it: in pytest runs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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


def test_two_tests_of_one_process_do_not_meet(tmp_path: Path) -> None:
    """Each has its own server, though wandb keeps settings and a service process per process."""
    output = run_pytest(
        tmp_path,
        """
import pytest, wandb

@pytest.mark.parametrize("value", [1, 2])
def test_logging(wandb_devserver, value):
    with wandb.init(project="p", id="r") as run:
        run.log({"value": value})
    assert [row["value"] for row in wandb_devserver.run("local/p/r").history] == [value]
    assert wandb.Api().run("local/p/r").summary["value"] == value
    assert len(wandb_devserver.runs()) == 1
""",
    )
    assert "2 passed" in output, output


def test_the_environment_is_clean_and_comes_back(tmp_path: Path) -> None:
    """Every variable of wandb is put away for the test, those that wandb sets itself afterwards."""
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

def test_inside(wandb_devserver, tmp_path):
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


def test_a_test_that_does_not_import_wandb_does_not_pay_for_it(tmp_path: Path) -> None:
    """The fixture tears down what is there and imports nothing."""
    output = run_pytest(
        tmp_path,
        """
import sys

def test_nothing(wandb_devserver):
    assert wandb_devserver.runs() == []
    assert "wandb" not in sys.modules
""",
    )
    assert "1 passed" in output, output


def test_a_run_left_open_ends_with_the_test(tmp_path: Path) -> None:
    """The next test's run is another one."""
    output = run_pytest(
        tmp_path,
        """
import wandb

def test_forgets_to_finish(wandb_devserver):
    wandb.init(project="p", id="left").log({"a": 1})

def test_starts_anew(wandb_devserver):
    assert wandb.run is None
    with wandb.init(project="p") as run:
        assert run.id != "left"
    assert len(wandb_devserver.runs()) == 1
""",
    )
    assert "2 passed" in output, output
