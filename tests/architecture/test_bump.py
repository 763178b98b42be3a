"""The script that prepares a release, on a copy of the packages."""

import re
import shutil
from pathlib import Path

import pytest

from scripts.bump import main
from tests.architecture.packages import PACKAGES, ROOT, RUNTIME, SWEEPS, Package

CHANGELOG = "# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.1.0 (2026-01-01)\n\n- Old.\n"
DAY = r"\d{4}-\d\d-\d\d"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that the script reads and writes, with fixed versions: 0.1.0 everywhere."""
    for package in PACKAGES:
        folder = tmp_path / package.folder.relative_to(ROOT)
        source = folder / package.source.relative_to(package.folder)
        source.mkdir(parents=True)
        shutil.copy(package.folder / "pyproject.toml", folder)
        (source / "_version.py").write_text('__version__ = "0.1.0"\n')
        (folder / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def version_file(tree: Path, package: Package) -> Path:
    return tree / package.source.relative_to(ROOT) / "_version.py"


def changelog_file(tree: Path, package: Package) -> Path:
    return tree / package.folder.relative_to(ROOT) / "CHANGELOG.md"


@pytest.mark.parametrize(
    ("part", "version"), [("major", "1.0.0"), ("minor", "0.2.0"), ("patch", "0.1.1"), ("current", "0.1.0")]
)
def test_bump_writes_version_and_changelog(part: str, version: str, tree: Path) -> None:
    """The unreleased changes get the version and the date as their heading; older ones do not change."""
    main([RUNTIME.dist, part], tree)

    assert version_file(tree, RUNTIME).read_text() == f'__version__ = "{version}"\n'
    changelog = re.sub(rf"\({DAY}\)", "(day)", changelog_file(tree, RUNTIME).read_text(), count=1)
    assert changelog == CHANGELOG.replace("## Unreleased", f"## {version} (day)")


def test_bump_changes_one_package(tree: Path) -> None:
    """Packages are released one at a time."""
    main([RUNTIME.dist, "minor"], tree)

    assert version_file(tree, SWEEPS).read_text() == '__version__ = "0.1.0"\n'
    assert "## Unreleased" in changelog_file(tree, SWEEPS).read_text()


def test_unreleased_first_version_is_dated(tree: Path) -> None:
    changelog_file(tree, RUNTIME).write_text("# Changelog\n\n## 0.1.0 (unreleased)\n\n- First.\n")

    main([RUNTIME.dist, "current"], tree)

    assert re.search(rf"^## 0\.1\.0 \({DAY}\)$", changelog_file(tree, RUNTIME).read_text(), re.MULTILINE)


def test_bump_prints_ranges_and_tag(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A minor version of a 0.x leaves the siblings' ranges: each is printed, with the line to change."""
    main([RUNTIME.dist, "minor"], tree)

    printed = capsys.readouterr().out
    assert "wandb-sweeps (libs/wandb-sweeps/pyproject.toml): wandb-runtime>=0.1,<0.2" in printed
    assert "flyteplugins-wandb (flyteplugins-wandb/pyproject.toml): wandb-runtime>=0.1,<0.2" in printed
    assert "git tag wandb-runtime-v0.2.0" in printed


def test_patch_is_within_every_range(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([RUNTIME.dist, "patch"], tree)

    assert "range" not in capsys.readouterr().out


def test_bump_without_changes_is_refused(tree: Path) -> None:
    """Nothing is written."""
    changelog_file(tree, RUNTIME).write_text("# Changelog\n\n## 0.1.0 (2026-01-01)\n")

    with pytest.raises(SystemExit, match="nothing to release"):
        main([RUNTIME.dist, "minor"], tree)

    assert version_file(tree, RUNTIME).read_text() == '__version__ = "0.1.0"\n'


def test_unknown_package_is_refused(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists the known packages."""
    with pytest.raises(SystemExit):
        main(["wandb", "minor"], tree)

    assert "wandb-runtime" in capsys.readouterr().err
