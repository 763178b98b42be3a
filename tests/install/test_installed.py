"""The wheel files in a fresh environment."""

import pytest

from tests.architecture.packages import PACKAGES, Package
from tests.install.wheels import Environment

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)


@each_package
def test_import(package: Package, installed: Environment) -> None:
    """The package is imported from the wheel, not from the tree, and has the version that pip reports."""
    printed = installed.run(
        f"import {package.module} as module; from importlib.metadata import version;"
        f"print(module.__file__, module.__version__, version({package.dist!r}))"
    ).split()

    assert printed[0].startswith(str(installed.folder))
    assert printed[1:] == [package.version, package.version]


@each_package
def test_every_public_name_is_there(package: Package, installed: Environment) -> None:
    """A star import gives every name of `__all__`: nothing was left out of the wheel."""
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
def test_import_weight(module: str, unwanted: set[str], installed: Environment) -> None:
    """Though installed, the heavy libraries are not imported."""
    assert installed.run(f"import sys, {module}; print(set(sys.modules) & {unwanted!r} or 'none')") == "none"


def test_wandb_is_the_sdk(installed: Environment) -> None:
    """`wandb` beside `flyteplugins.wandb` is still the SDK."""
    assert installed.run("import flyteplugins.wandb, wandb; print(hasattr(wandb, 'init'))") == "True"


def test_namespace_is_shared(installed: Environment) -> None:
    """No wheel makes `flyteplugins` a regular package."""
    assert installed.run("import flyteplugins; print(flyteplugins.__file__)") == "None"


def test_beside_a_regular_flyteplugins(beside_another_plugin: Environment) -> None:
    """A plugin that turns the namespace into a regular package does not hide ours, nor ours it."""
    code = (
        "import flyteplugins, flyteplugins.wandb; from importlib.util import find_spec;"
        "print(flyteplugins.__file__ is not None, find_spec('flyteplugins.vllm') is not None)"
    )

    assert beside_another_plugin.run(code) == "True True"


def test_beside_a_namespace_elsewhere(installed: Environment) -> None:
    """A part of the namespace in another folder of the path is found too, as editable installs are."""
    other = installed.folder / "elsewhere" / "flyteplugins" / "other"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    code = f"import sys; sys.path.insert(0, {str(other.parents[1])!r}); import flyteplugins.other, flyteplugins.wandb"

    assert installed.run(code) == ""
