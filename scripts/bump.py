"""Prepares the release of one package: `hatch run release:bump wandb-runtime minor`.

Writes the new version and dates the changelog's heading "## Unreleased" or "## <version> (unreleased)"; prints which
siblings' ranges must move in the same commit, and the tag to make. Commits nothing.
"""

import argparse
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

import tomli
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PARTS = ("major", "minor", "patch", "current")
UNRELEASED = re.compile(r"^## (Unreleased|\d+\.\d+\.\d+ \(unreleased\))$", re.MULTILINE | re.IGNORECASE)
VERSION = re.compile(r'__version__ = "(\d+)\.(\d+)\.(\d+)"')


def packages(root: Path) -> dict[str, Path]:
    """The folders of all packages, by name."""
    files = [*root.glob("libs/*/pyproject.toml"), *root.glob("*/pyproject.toml")]
    return {tomli.loads(file.read_text())["project"]["name"]: file.parent for file in sorted(files)}


def next_version(version: str, part: str) -> str:
    major, minor, patch = map(int, version.split("."))
    return {
        "major": f"{major + 1}.0.0",
        "minor": f"{major}.{minor + 1}.0",
        "patch": f"{major}.{minor}.{patch + 1}",
        "current": version,
    }[part]


def bump(folder: Path, part: str, today: str) -> str:
    """Writes version and changelog and gives the new version; writes nothing where one of them cannot be read."""
    (version_file,) = (folder / "src").rglob("_version.py")
    changelog_file = folder / "CHANGELOG.md"
    changelog = changelog_file.read_text()
    found = VERSION.search(version_file.read_text())
    if not found:
        sys.exit(f'{version_file}: has no line like __version__ = "1.2.3"')
    if not UNRELEASED.search(changelog):
        sys.exit(f"{changelog_file}: nothing to release; write what changed under a heading '## Unreleased'")

    version = next_version(".".join(found.groups()), part)
    version_file.write_text(f'__version__ = "{version}"\n')
    changelog_file.write_text(UNRELEASED.sub(f"## {version} ({today})", changelog, count=1))
    return version


def outgrown(root: Path, dist: str, version: str) -> list[str]:
    """The siblings whose range for `dist` does not admit its new version."""
    lines = []
    for sibling, folder in packages(root).items():
        for line in tomli.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]:
            requirement = Requirement(line)
            if requirement.name == dist and not requirement.specifier.contains(version):
                lines.append(f"{sibling} ({(folder / 'pyproject.toml').relative_to(root)}): {line}")
    return lines


def main(arguments: list[str] | None = None, root: Path = ROOT) -> None:
    folders = packages(root)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dist", choices=folders, metavar="dist", help=", ".join(folders))
    parser.add_argument("part", choices=PARTS, help="current releases the version in the tree as it is")
    chosen = parser.parse_args(arguments)

    version = bump(folders[chosen.dist], chosen.part, datetime.now(timezone.utc).date().isoformat())

    print(f"{chosen.dist} {version}")
    for line in outgrown(root, chosen.dist, version):
        print(f"range to move in the same commit: {line}")
    print(f"then commit, and: git tag {chosen.dist}-v{version}")


if __name__ == "__main__":
    main()
