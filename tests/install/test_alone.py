"""Each wheel with its own requirements only: every module imports, so that each can be installed without the others."""

import pytest

from tests.architecture.packages import ARTIFACTS, DEVSERVER, LINE, PACKAGES, Package
from tests.install.wheels import Built, Environment, make_environment

OPTIONAL = {ARTIFACTS: {"pyarrow"}, DEVSERVER: {"pytest"}}
"""Packages that some modules need and only an extra, or another tool, installs."""

PROGRAM = """
import importlib, pkgutil, sys
import {module} as package

missing = set()
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not found.name.endswith("__main__"):
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            missing.add(error.name.partition(".")[0])
print(*missing)
"""


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)
def test_every_module_imports_without_the_other_packages(
    package: Package, built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory
) -> None:
    needed = [each.dist for each in (*LINE, DEVSERVER) if each == package or each.module in package.may_import]
    folder = tmp_path_factory.mktemp(package.dist)
    environment: Environment = make_environment(folder / "venv", {dist: built[dist] for dist in needed})

    missing = set(environment.run(PROGRAM.format(module=package.module)).split())

    assert missing == OPTIONAL.get(package, set())
