"""Python interpreters of the test matrix, as a Hatch environment collector.

Hatch finds interpreters on PATH, where pyenv puts only the selected ones, and downloads those that it does not find.
With this collector it finds all of pyenv's, and skips and reports versions that are not installed.

As a script it prints the versions of the matrix that are installed, newest first; with --missing, the others.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import python_discovery
from hatch.env.collectors.plugin.interface import EnvironmentCollectorInterface
from hatch.utils.toml import load_toml_file


class Interpreters(EnvironmentCollectorInterface):
    """Adjusts the environments that hatch.toml defines."""

    def finalize_config(self, config: dict[str, dict[str, Any]]) -> None:  # noqa: ARG002
        """Add pyenv's interpreters to PATH before Hatch looks for any."""
        add_pyenv_to_path()

    def finalize_environments(self, config: dict[str, dict[str, Any]]) -> None:
        """Name interpreters so that Hatch finds no download for them.

        Not the one that runs Hatch: `hatch test` prefers the environment whose version equals its own.
        """
        own = "{}.{}".format(*sys.version_info)
        for name, environment in config.items():
            if name.startswith("hatch-test.") and environment["python"] != own:
                environment["python"] = f"python{environment['python']}"


def add_pyenv_to_path() -> None:
    """Append the folders of pyenv's interpreters to PATH."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [str(folder) for folder in sorted(root.glob("versions/3.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])


def matrix_versions() -> dict[str, bool]:
    """Return the versions of the matrix, newest first, and whether each is installed on this machine."""
    (matrix,) = load_toml_file(str(Path(__file__).parents[1] / "hatch.toml"))["envs"]["hatch-test"]["matrix"]
    return {version: python_discovery.get_interpreter(f"python{version}") is not None for version in matrix["python"]}


if __name__ == "__main__":
    add_pyenv_to_path()
    wanted = "--missing" not in sys.argv
    print(*(version for version, is_installed in matrix_versions().items() if is_installed is wanted))  # noqa: T201
