"""Contents of the built wheels and source distributions."""

import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import PurePosixPath

import pytest

from tests.architecture.packages import PACKAGES, Package
from tests.install.wheels import Built

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)


@pytest.fixture
def wheel(package: Package, built: dict[str, Built]) -> zipfile.ZipFile:
    return zipfile.ZipFile(built[package.dist].wheel)


def metadata(package: Package, wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(wheel.read(f"{dist_info(package)}/METADATA").decode())


def dist_info(package: Package) -> str:
    return f"{package.dist.replace('-', '_')}-{package.version}.dist-info"


@each_package
def test_wheel_has_one_top_level_package(package: Package, wheel: zipfile.ZipFile) -> None:
    """It never contains `wandb`, which is the SDK."""
    names = {PurePosixPath(name).parts[0] for name in wheel.namelist()}

    assert names == {package.module.split(".")[0], dist_info(package)}


@each_package
def test_wheel_has_the_sources(package: Package, wheel: zipfile.ZipFile) -> None:
    """Every file of the package is in the wheel, byte for byte, `py.typed` and data files too."""
    root = package.folder / "src"
    files = [path for path in package.source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    packed = {name: wheel.read(name) for name in wheel.namelist() if not name.startswith(dist_info(package))}

    assert packed == {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    assert f"{package.source.relative_to(root).as_posix()}/py.typed" in packed


@each_package
def test_metadata_has_version_license_and_readme(package: Package, wheel: zipfile.ZipFile) -> None:
    found = metadata(package, wheel)

    assert found["Name"] == package.dist
    assert found["Version"] == package.version
    assert found["License-Expression"] == "Apache-2.0"
    assert found["License-File"] == "LICENSE"
    assert found["Description-Content-Type"] == "text/markdown"
    assert found.get_payload() == (package.folder / "README.md").read_text()


@each_package
def test_wheel_has_the_license(package: Package, wheel: zipfile.ZipFile) -> None:
    """The licence text goes where the code goes."""
    packed = wheel.read(f"{dist_info(package)}/licenses/LICENSE")

    assert packed == (package.folder / "LICENSE").read_bytes()


@each_package
def test_sdist_has_only_the_files_to_build(package: Package, built: dict[str, Built]) -> None:
    with tarfile.open(built[package.dist].sdist) as archive:
        names = {PurePosixPath(name).parts[1] for name in archive.getnames()}

    assert names - {".gitignore"} == {"src", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO"}


@each_package
def test_sdist_builds_the_same_wheel(package: Package, built: dict[str, Built]) -> None:
    """A wheel built from the sdist equals one built from the tree."""
    from_sdist, from_tree = built[package.dist].wheel, built[package.dist].wheel_of_tree

    assert from_sdist.name == from_tree.name
    assert from_sdist.read_bytes() == from_tree.read_bytes()
