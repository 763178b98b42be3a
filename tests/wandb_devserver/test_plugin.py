"""The pytest fixture, in a separate pytest process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

FILES = {
    # Before the files that import wandb.
    "test_import.py": """
import sys

def test_wandb_is_not_imported(wandb_devserver):
    assert wandb_devserver.runs() == []
    assert "wandb" not in sys.modules
""",
    "test_environment.py": """
import os
import pytest

@pytest.fixture(scope="module", autouse=True)
def check_afterwards():
    before = dict(os.environ)
    assert before["WANDB_PROJECT"] == "elsewhere"
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
    "test_isolation.py": """
import pytest

@pytest.mark.parametrize("value", [1, 2])
def test_run_is_logged(wandb_devserver, value):
    import wandb
    with wandb.init(project="p", id="r") as run:
        run.log({"value": value})
    assert [row["value"] for row in wandb_devserver.run("local/p/r").history] == [value]
    assert wandb.Api().run("local/p/r").summary["value"] == value
    assert len(wandb_devserver.runs()) == 1
""",
    "test_open_run.py": """
def test_run_stays_open(wandb_devserver):
    import wandb
    wandb.init(project="p", id="left").log({"a": 1})

def test_no_run_is_open(wandb_devserver):
    import wandb
    assert wandb.run is None
    with wandb.init(project="p") as run:
        assert run.id != "left"
    assert len(wandb_devserver.runs()) == 1
""",
}


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Run the files in one process; the fixture returns the names of the tests of a file that have passed."""
    folder = tmp_path_factory.mktemp("user")
    output = run_pytest(folder, WANDB_PROJECT="elsewhere", WANDB_MODE="disabled", WANDB_API_KEY="y" * 40)
    lines = [line.split() for line in output.splitlines() if " PASSED" in line]

    def passed_tests(file: str) -> list[str]:
        tests = [words[0].partition("::")[2] for words in lines if words[0].startswith(f"{file}::")]
        failed = [line for line in output.splitlines() if line.startswith((f"ERROR {file}", f"FAILED {file}"))]
        assert not failed, output
        return tests

    return passed_tests


def run_pytest(folder: Path, **variables: str) -> str:
    for name, tests in FILES.items():
        (folder / name).write_text(tests)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider", *FILES],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout + done.stderr


def test_fixture_does_not_import_wandb(passed: Callable[[str], list[str]]) -> None:
    assert passed("test_import.py") == ["test_wandb_is_not_imported"]


def test_fixture_isolates_and_restores_the_environment(passed: Callable[[str], list[str]]) -> None:
    """WANDB_* variables are removed for the test; those that wandb sets are removed afterwards."""
    assert passed("test_environment.py") == ["test_environment_names_the_server"]


def test_fixture_isolates_tests_of_one_process(passed: Callable[[str], list[str]]) -> None:
    """Each test has its own server, although wandb has settings and a service process per process."""
    assert passed("test_isolation.py") == ["test_run_is_logged[1]", "test_run_is_logged[2]"]


def test_open_run_ends_with_its_test(passed: Callable[[str], list[str]]) -> None:
    """The next test has a separate run."""
    assert passed("test_open_run.py") == ["test_run_stays_open", "test_no_run_is_open"]
