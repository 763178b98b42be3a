"""Sphinx extension: the reference of a package, made from what its `__all__` names.

`public-api` documents the names of one kind, and `public-names` lists the names that a package re-exports, each with a
link to its documentation. References to the private module of an object lead to its public name.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import sys
from typing import TYPE_CHECKING

from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from docutils import nodes
    from sphinx.application import Sphinx

PACKAGES = (
    "wandb_artifacts",
    "wandb_artifacts.client",
    "wandb_artifacts.flyte",
    "wandb_artifacts.filesystem",
    "wandb_runtime",
    "wandb_sweeps",
    "wandb_devserver",
)
KINDS = ("functions", "classes", "exceptions", "types")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("public-api", PublicApi)
    app.add_directive("public-names", PublicNames)
    app.connect("doctree-read", _qualify)
    return {"parallel_read_safe": True}


class PublicApi(SphinxDirective):
    """Documents the public names of a package that are of one kind."""

    required_arguments = 1
    option_spec = {"kind": lambda text: directives.choice(text, KINDS)}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        module = importlib.import_module(self.arguments[0])
        names = [name for name in public_names(module) if kind_of(getattr(module, name)) == self.options["kind"]]
        text = "\n\n".join(_documented(module, name) for name in names)
        return self.parse_text_to_nodes(f"````{{eval-rst}}\n{text}\n````")


class PublicNames(SphinxDirective):
    """Lists the public names of a package that other packages define, with the first lines of their docstrings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = importlib.import_module(self.arguments[0])
        rows = [
            f"| {{py:obj}}`{name} <{home(module, name)}>` | {_summary(module, name)} |" for name in public_names(module)
        ]
        return self.parse_text_to_nodes("\n".join(["| name | |", "|---|---|", *rows]))


def public_names(module: ModuleType) -> list[str]:
    return [name for name in module.__all__ if not name.startswith("__")]


def kind_of(value: object) -> str:
    if not isinstance(value, type):
        return "functions" if inspect.isroutine(value) or hasattr(value, "aio") else "types"
    return "exceptions" if issubclass(value, Exception) else "classes"


def home(module: ModuleType, name: str) -> str:
    """Return the full name under which the reference documents an object."""
    value = getattr(module, name)
    return next(
        f"{package}.{name}"
        for package in PACKAGES
        if name in (found := importlib.import_module(package)).__all__ and getattr(found, name) is value
    )


def _documented(module: ModuleType, name: str) -> str:
    value, full = getattr(module, name), f"{module.__name__}.{name}"
    match kind_of(value):
        case "functions":
            return f".. autofunction:: {full}"
        case "exceptions":
            return f".. autoexception:: {full}\n   :show-inheritance:"
        case "classes":
            return f".. autoclass:: {full}\n   :members:\n   :undoc-members:"
    lines = _attribute_docstring(module, name)
    shown = str(value).replace("typing.", "").replace("collections.abc.", "")
    return "\n".join([f".. py:data:: {full}", f"   :value: {shown}", "", *(f"   {line}" for line in lines)])


def _attribute_docstring(module: ModuleType, name: str) -> list[str]:
    """Return the docstring below an assignment, which is in the module that defines the name."""
    package = module.__name__.partition(".")[0]
    for each in sorted(sys.modules):
        if each.partition(".")[0] == package and getattr(sys.modules[each], "__file__", None):
            found = ModuleAnalyzer.for_module(each).find_attr_docs()
            if ("", name) in found:
                return [line.replace("`", "``") for line in found["", name]]
    return []


def _summary(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    lines = _attribute_docstring(importlib.import_module(home(module, name).rpartition(".")[0]), name)
    if kind_of(value) != "types":
        lines = inspect.cleandoc(value.__doc__ or "").splitlines()
    return " ".join(lines[:1]).replace("``", "`").replace("|", "\\|")


def _qualify(app: Sphinx, doctree: nodes.document) -> None:
    """Replace the targets of references, which name private modules or no module, by public names."""
    page = app.env.docname.rpartition("/")[2].replace("-", "_")
    known = dict(_aliases())
    short: dict[str, str] = {}
    for full in known.values():
        name = full.rpartition(".")[2]
        # Two packages may have the same name; that of the page's package is meant.
        if name not in short or full.startswith(page):
            short[name] = full
    for reference in doctree.findall(pending_xref):
        target = reference.get("reftarget", "")
        if reference.get("refdomain") != "py":
            continue
        reference["reftype"] = "obj"
        # Without the module, the name of a type would lead to a field that is named like it.
        is_builtin = hasattr(builtins, target)
        reference["reftarget"] = f"builtins.{target}" if is_builtin else known.get(target) or short.get(target, target)


def _aliases() -> Iterator[tuple[str, str]]:
    """Yield the names of objects in the modules that define them, with their public names."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in public_names(module):
            value = getattr(module, name)
            yield f"{getattr(value, '__module__', package)}.{getattr(value, '__qualname__', name)}", home(module, name)
