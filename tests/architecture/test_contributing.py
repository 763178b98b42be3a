"""Paths that CONTRIBUTING.md names."""

import re

from tests.architecture.packages import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_find_your_way_names_existing_files() -> None:
    """Each question leads to a file that exists."""
    section = TEXT.partition("### Find your way")[2].partition("\n## ")[0]
    paths = re.findall(r"^\| .+ \| `(.+)` \|$", section, re.MULTILINE)

    assert len(paths) >= 10
    assert not [path for path in paths if not (ROOT / path).is_file()]


def test_map_names_existing_folders() -> None:
    """Each line of the map begins with folders of the repository, or of the package above it."""
    missing, package = [], ROOT
    for line in TEXT.partition("## Where things are")[2].split("```")[1].strip().splitlines():
        names = [name for name in re.split(" {2,}", line.strip())[0].split() if "<" not in name]
        if line.startswith("libs/"):
            (package,) = (ROOT / names[0] / "src").iterdir()
        bases = (package,) if line.startswith(" ") else (ROOT, ROOT / "tests")
        missing += [name for name in names if not any((base / name).is_dir() for base in bases)]

    assert not missing
