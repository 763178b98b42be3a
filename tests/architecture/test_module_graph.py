"""The graph of modules within each package: imports go one way there too."""

import ast
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.packages import PACKAGES, Package
from tests.architecture.test_imports import RuntimeOnly, imported

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)


def module_graph(package: Package) -> dict[str, set[str]]:
    """Each module of a package with the modules of the same package that it imports, in functions too."""
    modules = {package.module_name(path): path for path in package.files()}
    return {name: imported_siblings(path.read_text(), modules.keys()) - {name} for name, path in modules.items()}


def imported_siblings(source: str, modules: Collection[str]) -> set[str]:
    """The given modules that a source text imports when it runs; what only type checkers read is left out."""
    runtime = imported(RuntimeOnly().visit(ast.parse(source)))
    return {owner for name in runtime if (owner := owning_module(name, modules))}


def owning_module(name: str, modules: Collection[str]) -> str | None:
    """The module that an imported name is, or is in; None for a module of another package."""
    while name:
        if name in modules:
            return name
        name = name.rpartition(".")[0]
    return None


@each_package
def test_modules_import_without_cycles(package: Package) -> None:
    graph = module_graph(package)
    # `from package import module` names the package too, whose `__init__` imports its public names.
    root = graph.pop(package.module)
    graph = {name: imports - {package.module} for name, imports in graph.items()}
    assert root <= graph.keys()

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
