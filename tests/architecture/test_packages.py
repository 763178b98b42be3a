"""Files and versions of every package of the repository."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture.packages import FACADE, PACKAGES, ROOT, Package

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)


def test_every_pyproject_in_the_tree_is_listed() -> None:
    """A package that is added to the tree must be added to the table of these tests."""
    found = {path.parent for pattern in ("*/pyproject.toml", "libs/*/pyproject.toml") for path in ROOT.glob(pattern)}

    assert {package.folder for package in PACKAGES} == found


@each_package
@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"])
def test_package_has_its_files(package: Package, name: str) -> None:
    assert (package.folder / name).read_text().strip()


@each_package
def test_package_is_typed(package: Package) -> None:
    assert (package.source / "py.typed").is_file()


@each_package
def test_distribution_name_matches_the_table(package: Package) -> None:
    assert package.project["name"] == package.dist


@each_package
def test_license_is_that_of_the_repository(package: Package) -> None:
    assert (package.folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@each_package
def test_changelog_has_the_version(package: Package) -> None:
    text = (package.folder / "CHANGELOG.md").read_text()

    assert re.search(rf"^## {re.escape(package.version)}( |$)", text, re.MULTILINE), text


def sibling_requirements() -> list[tuple[str, Requirement]]:
    dists = {package.dist for package in PACKAGES}
    lines = [(package.dist, line) for package in PACKAGES for line in package.project["dependencies"]]
    return [(dist, Requirement(line)) for dist, line in lines if Requirement(line).name in dists]


@pytest.mark.parametrize(("dist", "requirement"), sibling_requirements(), ids=str)
def test_sibling_range_excludes_incompatible_versions(dist: str, requirement: Requirement) -> None:
    """It includes the sibling's version in the tree."""
    version = next(package.version for package in PACKAGES if package.dist == requirement.name)
    major, minor, _ = map(int, version.split("."))
    incompatible = f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"

    assert requirement.specifier.contains(version)
    assert not requirement.specifier.contains(incompatible)


@each_package
def test_siblings_are_declared(package: Package) -> None:
    """A package requires its siblings itself, not through a third one."""
    required = {Requirement(line).name for line in package.project["dependencies"]}
    siblings = {sibling.dist for sibling in PACKAGES if sibling.module in package.may_import}

    assert siblings <= required
    assert not required & {sibling.dist for sibling in PACKAGES} - siblings


def test_namespace_has_no_init() -> None:
    """`flyteplugins` belongs to all Flyte plugins: a file of ours in it would hide the others or be overwritten."""
    namespace = FACADE.source.parent

    assert [path.name for path in namespace.iterdir() if path.name != "__pycache__"] == ["wandb"]


def public_modules(package: Package) -> list[str]:
    names = {path.relative_to(package.source).parts[0] for path in package.files()}
    return sorted(name for name in names if not name.startswith("_"))


PUBLIC_MODULES = {
    "wandb-artifacts": ["artifact_filesystem.py", "blocking.py", "cli.py", "client.py", "filesystem.py", "flyte.py"],
    "wandb-runtime": ["artifacts", "cli", "config", "download.py", "lazy.py", "lifecycle", "report", "server", "tasks"],
}
"""Modules and folders without an underscore, by distribution: what siblings may import beside the package itself."""


@each_package
def test_modules_are_private(package: Package) -> None:
    """A package's `__all__` names its public API; other modules and folders start with an underscore."""
    assert public_modules(package) == PUBLIC_MODULES.get(package.dist, [])


MOCKS = re.compile(r"^\s*(from|import) (unittest\.mock|unittest import mock|mock\b)|\bmocker\b", re.MULTILINE)


@pytest.mark.parametrize("line", ["import unittest.mock", "    from unittest import mock", "def test(mocker): ..."])
def test_mocks_are_found(line: str) -> None:
    assert MOCKS.search(line)


def test_tests_mock_nothing() -> None:
    """Tests use the real libraries; a mock would only test the calls between modules."""
    tests = sorted(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))

    assert [str(path.relative_to(ROOT)) for path in tests if MOCKS.search(path.read_text())] == []
