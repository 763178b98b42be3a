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
        """Run the oldest dependencies on the oldest interpreter, and name interpreters so that Hatch downloads none.

        The one that runs Hatch keeps its name: `hatch test` prefers the environment whose version equals its own.
        """
        own = "{}.{}".format(*sys.version_info)
        if "lowest" in config:
            config["lowest"]["python"] = next(reversed(installed_versions()), own)
        for name, environment in config.items():
            is_tested = name == "lowest" or name.startswith("hatch-test.")
            if is_tested and environment["python"] != own:
                environment["python"] = f"python{environment['python']}"


def add_pyenv_to_path() -> None:
    """Append the folders of pyenv's interpreters to PATH."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [str(folder) for folder in sorted(root.glob("versions/3.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])


def matrix_versions() -> list[str]:
    """Return the versions of the matrix, newest first."""
    (matrix,) = load_toml_file(str(Path(__file__).parents[1] / "hatch.toml"))["envs"]["hatch-test"]["matrix"]
    return list(matrix["python"])


def installed_versions() -> list[str]:
    """Return the versions of the matrix that are installed on this machine, newest first."""
    return [version for version in matrix_versions() if python_discovery.get_interpreter(f"python{version}")]


if __name__ == "__main__":
    add_pyenv_to_path()
    installed, is_wanted = installed_versions(), "--missing" not in sys.argv
    print(*(version for version in matrix_versions() if (version in installed) is is_wanted))  # noqa: T201
