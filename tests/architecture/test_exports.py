"""Exports of the packages, and the cost of importing them."""

import ast
import importlib
import pydoc
import subprocess
import sys
from types import ModuleType

import pytest

from tests.architecture.packages import FACADE, PACKAGES, RUNTIME, SWEEPS, Package

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)


def bound_names(package: Package) -> set[str]:
    """The public names that a package's `__init__` binds at its top level, modules and the standard library aside.

    Those that it loads on first use are imported for type checkers, below `if TYPE_CHECKING`.
    """
    names: set[str] = set()
    body = ast.parse((package.source / "__init__.py").read_text()).body
    for node in [*body, *(inner for outer in body if isinstance(outer, ast.If) for inner in outer.body)]:
        if isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] not in sys.stdlib_module_names:
                names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name in names if not name.startswith("_")}


def exported(module: ModuleType) -> list[str]:
    names = module.__all__
    assert all(isinstance(name, str) for name in names)
    return list(names)


@each_package
def test_all_lists_every_public_name(package: Package) -> None:
    """It lists `__version__` too, and nothing twice."""
    names = exported(importlib.import_module(package.module))

    assert sorted(names) == sorted({*bound_names(package), "__version__"})


@each_package
def test_names_in_all_exist(package: Package) -> None:
    """A module-level `__getattr__` serves some of them."""
    module = importlib.import_module(package.module)

    assert not [name for name in exported(module) if not hasattr(module, name)]


def test_help_of_the_facade_describes_every_name() -> None:
    """Names that are loaded on first use too; exceptions are in the text of the module."""
    module = importlib.import_module(FACADE.module)
    described = pydoc.plain(pydoc.render_doc(module))

    assert [name for name in exported(module) if name not in described] == ["__version__"]
    assert "fan_out_sweep_agents(" in described
    assert "with_traceback" not in described
    assert "builtins.dict" not in described


@each_package
def test_version_is_that_of_the_tree(package: Package) -> None:
    assert importlib.import_module(package.module).__version__ == package.version


@pytest.mark.parametrize("package", [RUNTIME, SWEEPS], ids=lambda package: package.dist)
def test_facade_re_exports_every_name(package: Package) -> None:
    """Users import from one place: the facade has every public name of the Flyte libraries, as the same object."""
    facade = importlib.import_module(FACADE.module)
    library = importlib.import_module(package.module)

    names = [name for name in exported(library) if name != "__version__"]

    assert [name for name in names if name not in exported(facade)] == []
    assert [name for name in names if getattr(facade, name) is not getattr(library, name)] == []


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("wandb_artifacts", {"flyte", "wandb", "fsspec", "httpx"}),
        ("wandb_runtime", {"wandb"}),
        # Flyte imports it for `flyte --help`.
        ("wandb_runtime.cli.main", {"wandb", "flyte", "wandb_artifacts", "aiohttp"}),
        ("wandb_sweeps", {"wandb"}),
        ("flyteplugins.wandb", {"wandb", "wandb_sweeps", "wandb_devserver", "flyte.io", "flyte.extend"}),
        ("flyteplugins.wandb", {"http.client", "httpx", "requests", "urllib3"}),
        # Every pytest run where it is installed loads its plugin.
        ("wandb_devserver._pytest_plugin", {"graphql", "jinja2", "starlette", "uvicorn"}),
        ("wandb_devserver._server", {"flyte", "wandb", "flyteplugins"}),
    ],
)
def test_package_imports_no_heavy_library(module: str, unwanted: set[str]) -> None:
    """Modules that only a run, a sweep or a download needs are imported on first use."""
    code = f"import sys, {module}; print(*(set(sys.modules) & {unwanted!r}))"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == []
