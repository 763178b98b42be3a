"""The packages of this repository and the one line in which they may import each other."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Package:
    dist: str
    """Name on the package index."""
    module: str
    """The name that users import."""
    folder: Path
    may_import: tuple[str, ...] = ()
    """Modules of the siblings that it may import: all to its left in the line."""

    @property
    def source(self) -> Path:
        return self.folder / "src" / Path(*self.module.split("."))

    @property
    def version(self) -> str:
        """The version as written, without importing the package."""
        text = (self.source / "_version.py").read_text()
        match = re.fullmatch(r'__version__ = "(\d+\.\d+\.\d+)"\n', text)
        assert match, f"{self.dist}: _version.py is {text!r}"
        return match[1]

    @property
    def project(self) -> dict[str, Any]:
        """The `[project]` table of its pyproject.toml."""
        table = tomli.loads((self.folder / "pyproject.toml").read_text())["project"]
        assert isinstance(table, dict)
        return table

    def files(self) -> list[Path]:
        return sorted(self.source.rglob("*.py"))

    def module_name(self, path: Path) -> str:
        """The name under which a file of the package is imported."""
        parts = path.relative_to(self.source).with_suffix("").parts
        return ".".join((self.module, *(part for part in parts if part != "__init__")))


ARTIFACTS = Package("wandb-artifacts", "wandb_artifacts", ROOT / "libs/wandb-artifacts")
RUNTIME = Package("wandb-runtime", "wandb_runtime", ROOT / "libs/wandb-runtime", ("wandb_artifacts",))
SWEEPS = Package("wandb-sweeps", "wandb_sweeps", ROOT / "libs/wandb-sweeps", ("wandb_artifacts", "wandb_runtime"))
FACADE = Package(
    "flyteplugins-wandb",
    "flyteplugins.wandb",
    ROOT / "flyteplugins-wandb",
    ("wandb_artifacts", "wandb_runtime", "wandb_sweeps"),
)
DEVSERVER = Package("wandb-devserver", "wandb_devserver", ROOT / "libs/wandb-devserver")

LINE = (ARTIFACTS, RUNTIME, SWEEPS, FACADE)
PACKAGES = (*LINE, DEVSERVER)
