"""Type checking as users do it: the consumer files of tests/typing against the installed wheels."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.architecture.packages import ROOT
from tests.install.wheels import Environment, run

CONSUMERS = ROOT / "tests" / "typing"


@pytest.fixture
def consumers(tmp_path: Path) -> Path:
    """A copy away from the source tree, so that only the wheels are found."""
    return Path(shutil.copytree(CONSUMERS, tmp_path / "consumers"))


def check(environment: Environment, folder: Path, *flags: str) -> str:
    files = [path.name for path in sorted(folder.glob("*.py"))]
    assert files
    return run(sys.executable, "-m", "mypy", "--python-executable", environment.python, *flags, *files, cwd=folder)


def test_public_types_check_in_user_code(installed: Environment, consumers: Path) -> None:
    """Correct uses have the promised types, and every wrong use is an error: --strict reports unused ignores."""
    assert "Success" in check(installed, consumers, "--strict")


def test_public_types_check_beside_another_plugin(beside_another_plugin: Environment, consumers: Path) -> None:
    """The types survive a plugin that turns the namespace into a regular package."""
    assert "Success" in check(beside_another_plugin, consumers, "--strict")
