"""Allowed imports between packages, read from the sources, so that imports inside functions count too."""

import ast
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.packages import ARTIFACTS, DEVSERVER, FACADE, PACKAGES, Package

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.dist)


def imported(tree: ast.AST) -> set[str]:
    """Every module that a parsed source imports, at any depth; `from a import b` counts as `a` and as `a.b`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "relative import"
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and is_dynamic_import(node):
            names.update(arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))
    return names


def is_dynamic_import(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
    return name in {"import_module", "__import__"}


@cache
def imports_of(path: Path) -> frozenset[str]:
    return frozenset(imported(ast.parse(path.read_text())))


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    import a.b", {"a.b"}),
        ("from a import b", {"a", "a.b"}),
        ("if x:\n    from a.b import c as d", {"a.b", "a.b.c"}),
        ("importlib.import_module('a')", {"a"}),
    ],
)
def test_imports_of_every_form_are_found(source: str, expected: set[str]) -> None:
    """An import may be in a function, in a branch, or by name."""
    assert imported(ast.parse(source)) == expected


@each_package
def test_packages_import_only_to_the_left(package: Package) -> None:
    """The devserver imports no other package."""
    forbidden = {other.module for other in PACKAGES} - {package.module, *package.may_import}

    offenders = {
        f"{path.relative_to(package.source)}: {name}"
        for path in package.files()
        for name in imports_of(path)
        if any(is_within(name, module) for module in forbidden)
    }

    assert not offenders


@each_package
def test_siblings_are_used_by_their_public_names(package: Package) -> None:
    """No private module of a sibling is imported: each package can be released alone."""
    offenders = {
        f"{path.relative_to(package.source)}: {name}"
        for path in package.files()
        for name in imports_of(path)
        if any(is_within(name, module) for module in package.may_import) and "._" in name.replace(".__version__", "")
    }

    assert not offenders


@pytest.mark.parametrize(
    ("package", "forbidden", "but"),
    [
        (ARTIFACTS, "flyte", "flyte.py"),
        (ARTIFACTS, "wandb_artifacts.flyte", None),
        (FACADE, "wandb", None),
        (DEVSERVER, "flyte", None),
        (DEVSERVER, "wandb", None),
    ],
    ids=lambda value: getattr(value, "dist", value),
)
def test_libraries_import_no_heavy_package(package: Package, forbidden: str, but: str | None) -> None:
    """The artifacts and the devserver work without Flyte, the facade only re-exports, the server needs no SDK."""
    offenders = {
        f"{path.relative_to(package.source)}: {name}"
        for path in package.files()
        for name in imports_of(path)
        if is_within(name, forbidden) and str(path.relative_to(package.source)) != but
    }

    assert not offenders


KNOWN_TO_TYPE_CHECKERS = {"typing_extensions"}
"""Every type checker has it built in, so under TYPE_CHECKING it need not be installed."""


class RuntimeOnly(ast.NodeTransformer):
    """Remove code that only type checkers execute."""

    def visit_If(self, node: ast.If) -> ast.AST:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            return ast.Module(node.orelse, [])
        return self.generic_visit(node)


def required_modules(path: Path) -> set[str]:
    """The top-level modules that must be installed for this module to work and to be type-checked."""
    runtime = imported(RuntimeOnly().visit(ast.parse(path.read_text())))
    tops = {name.split(".")[0] for name in imports_of(path)}
    return tops - (KNOWN_TO_TYPE_CHECKERS - {name.split(".")[0] for name in runtime})


@each_package
def test_third_party_imports_are_declared(package: Package) -> None:
    """A package requires everything that it imports, not through a sibling or a dependency."""
    required = {canonicalize_name(Requirement(line).name) for line in requirements(package)}
    own = {package.module.split(".")[0], *(module.split(".")[0] for module in package.may_import)}
    tops = {name for path in package.files() for name in required_modules(path)}

    third_party = tops - own - set(sys.stdlib_module_names)
    if package == DEVSERVER:
        third_party -= {"pytest"}  # Its plugin is loaded by pytest: who does not test does not need it.
    undeclared = {name for name in third_party if not required & distributions().get(name, {canonicalize_name(name)})}

    assert not undeclared


def requirements(package: Package) -> list[str]:
    extras = package.project.get("optional-dependencies", {})
    return [*package.project["dependencies"], *(line for extra in extras.values() for line in extra)]


@cache
def distributions() -> dict[str, set[str]]:
    """The installed distributions by top-level module, from their lists of files.

    On Python 3.10 packages_distributions() only knows distributions with a top_level.txt.
    """
    found: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        name = canonicalize_name(distribution.name)
        for module in {file.parts[0].partition(".")[0] for file in distribution.files or ()}:
            found.setdefault(module, set()).add(name)
    return found
