"""Pages that list what the code has: exceptions, environment variables, keys of the context."""

from __future__ import annotations

import ast
import importlib
import re
from typing import TYPE_CHECKING

from tests.support.documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("wandb_artifacts", "wandb_runtime", "wandb_sweeps", "flyteplugins.wandb", "wandb_devserver")
ROOTS = {"WandbPluginError"}
"""Exceptions that are explained at the top of the page, since nobody meets them by name."""
BASES = {"TaskError"}
"""Classes that are not public and never raised themselves."""

_VARIABLE = re.compile(r"(WANDB|FLYTE)_[A-Z]+(_[A-Z]+)*")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def exceptions() -> Iterator[tuple[str, str]]:
    """Yield the names of the public exceptions, and with the module."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, Exception):
                yield name, f"{package}.{name}"


def test_troubleshooting_explains_every_exception() -> None:
    headings = set(re.findall(r"^### (\S+)$", page("troubleshooting.md"), re.MULTILINE))

    missing = [full for name, full in exceptions() if name not in ROOTS and not headings & {name, full}]
    assert not missing
    assert headings <= {known for pair in exceptions() for known in pair}


def test_troubleshooting_names_every_subclass_of_public_exceptions() -> None:
    """A traceback shows the name of the subclass, which is not public. Those of wandb-devserver become responses."""
    public = {name for name, _ in exceptions()}
    raised = set()
    for source in ROOT.glob("libs/*/src/**/*.py"):
        if "wandb-devserver" not in source.parts:
            classes = (node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.ClassDef))
            raised |= {node.name for node in classes if public & {getattr(base, "id", "") for base in node.bases}}

    assert len(raised - public) > 1
    assert not [name for name in raised - public - BASES if f"`{name}`" not in page("troubleshooting.md")]


def test_environment_page_has_every_variable_that_the_code_names() -> None:
    """Whole strings are names of variables; texts of messages are not compared."""
    listed = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page("reference/environment.md")))
    named: dict[str, str] = {}
    for source in ROOT.glob("libs/*/src/**/*.py"):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VARIABLE.fullmatch(node.value):
                named[node.value] = source.name

    assert not {name: file for name, file in named.items() if name not in listed}


def test_environment_page_has_every_setting_that_the_code_reads() -> None:
    """Settings of the SDK are read by their names, as `WANDB_<NAME>`."""
    listed = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page("reference/environment.md")))
    sources = ROOT.glob("libs/wandb-artifacts/src/wandb_artifacts/_client/*.py")
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    settings = re.findall(r"settings\.get\(\"(\w+)\"\)", text)

    assert settings
    assert not {f"WANDB_{name.upper()}" for name in settings} - listed


def test_context_page_has_every_key_that_the_code_writes() -> None:
    listed = set(re.findall(r"`(_wandb_\w+)`", page("reference/context-keys.md")))
    text = "\n".join(source.read_text(encoding="utf-8") for source in ROOT.glob("libs/*/src/**/*.py"))

    assert set(re.findall(r"^\w*_KEY = \"(_wandb_\w+)\"$", text, re.MULTILINE)) == listed
