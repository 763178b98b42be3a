"""The wheel files in a fresh environment."""

import pytest

from tests.architecture.packages import PACKAGES, Package
from tests.install.wheels import Environment

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)


@each_package
def test_package_imports_from_the_wheel(package: Package, installed: Environment) -> None:
    """Its version is the one that pip reports."""
    printed = installed.run(
        f"import {package.module} as module; from importlib.metadata import version;"
        f"print(module.__file__, module.__version__, version({package.dist!r}))"
    ).split()

    assert printed[0].startswith(str(installed.folder))
    assert printed[1:] == [package.version, package.version]


@each_package
def test_star_import_has_every_public_name(package: Package, installed: Environment) -> None:
    code = f"from {package.module} import *; import {package.module} as m; print(set(m.__all__) - set(globals()))"

    assert installed.run(code) == "set()"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("wandb_artifacts", {"flyte", "wandb"}),
        ("wandb_devserver", {"flyte", "wandb"}),
        ("flyteplugins.wandb", {"wandb"}),
    ],
)
def test_package_imports_no_heavy_library(module: str, unwanted: set[str], installed: Environment) -> None:
    """The libraries are installed."""
    assert installed.run(f"import sys, {module}; print(set(sys.modules) & {unwanted!r} or 'none')") == "none"


def test_wandb_is_the_sdk(installed: Environment) -> None:
    """`wandb` beside `flyteplugins.wandb` is still the SDK."""
    assert installed.run("import flyteplugins.wandb, wandb; print(hasattr(wandb, 'init'))") == "True"


def test_namespace_is_shared(installed: Environment) -> None:
    """No wheel makes `flyteplugins` a regular package."""
    assert installed.run("import flyteplugins; print(flyteplugins.__file__)") == "None"


def test_regular_flyteplugins_package_hides_nothing(beside_another_plugin: Environment) -> None:
    """Such a plugin and the facade can both be imported."""
    code = (
        "import flyteplugins, flyteplugins.wandb; from importlib.util import find_spec;"
        "print(flyteplugins.__file__ is not None, find_spec('flyteplugins.vllm') is not None)"
    )

    assert beside_another_plugin.run(code) == "True True"


def test_namespace_in_another_folder_is_found(installed: Environment) -> None:
    """Editable installs are such folders."""
    other = installed.folder / "elsewhere" / "flyteplugins" / "other"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    code = f"import sys; sys.path.insert(0, {str(other.parents[1])!r}); import flyteplugins.other, flyteplugins.wandb"

    assert installed.run(code) == ""
