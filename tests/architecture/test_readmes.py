"""Links of the READMEs."""

import re
from pathlib import Path

import pytest

from tests.architecture.packages import ROOT

READMES = [ROOT / "README.md", *sorted(ROOT.glob("libs/*/README.md")), ROOT / "flyteplugins-wandb" / "README.md"]


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_relative_links_lead_to_existing_files(path: Path) -> None:
    """The README of a package is also shown elsewhere, so its links stay in its folder."""
    targets = [link for link in re.findall(r"\]\(([^)#]+)", path.read_text()) if "://" not in link]

    assert not [target for target in targets if not (path.parent / target).exists()]
    assert path.parent == ROOT or not [target for target in targets if target.startswith("..")]


def test_readme_lists_every_example() -> None:
    text = (ROOT / "README.md").read_text()

    assert not [path for path in (ROOT / "examples").glob("*.py") if f"[{path.stem}](examples/{path.name})" not in text]
