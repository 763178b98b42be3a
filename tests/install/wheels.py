"""Building the packages, and environments that have only the built files."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.packages import Package


@dataclass(frozen=True)
class Built:
    """The built files of one package."""

    sdist: Path
    wheel: Path
    """Built from the sdist, as an installer without wheels would do."""
    wheel_of_tree: Path


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command and return its output; a failure shows all of it."""
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def uv(*arguments: str | Path) -> str:
    program = shutil.which("uv")
    assert program, "uv is not on the path: run this by `hatch run wheels:check`"
    return run(program, *arguments)


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def build(package: Package, folder: Path) -> Built:
    """Build with the package's own build requirements, isolated from this environment."""
    uv("build", "--quiet", "--out-dir", folder / "dist", package.folder)
    uv("build", "--quiet", "--wheel", "--out-dir", folder / "tree", package.folder)
    return Built(only(folder / "dist", "*.tar.gz"), only(folder / "dist", "*.whl"), only(folder / "tree", "*.whl"))


@dataclass(frozen=True)
class Environment:
    """A virtual environment that has never seen the source tree."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def run(self, code: str) -> str:
        """Run Python code outside of the source tree, isolated from variables and the user's site."""
        return run(self.python, "-I", "-c", code, cwd=self.folder).strip()

    def install(self, *arguments: str | Path) -> None:
        uv("pip", "install", "--quiet", "--python", self.python, *arguments)


def make_environment(folder: Path, built: dict[str, Built]) -> Environment:
    uv("venv", "--quiet", "--python", sys.executable, folder)
    environment = Environment(folder)
    environment.install(*(each.wheel for each in built.values()))
    return environment
