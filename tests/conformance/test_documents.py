"""The GraphQL documents of the installed SDK, against the schema of the server."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from graphql import GraphQLError, parse, validate
from wandb_devserver._graphql.schema import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

# Launch, automations and integrations.
OUT_OF_SCOPE = re.compile(
    r"Automation|Integration|RunQueue|runQueue|LaunchAgent|launchAgent|ResourceConfig|Introspection|TypeIntrospection"
)
# Put together from several strings when they are sent; the other tests send them.
ASSEMBLED = {
    "CreateArtifact",
    "CreateArtifactManifest",
    "DeleteRun",
    "LinkArtifact",
    "Run",
    "RunFiles",
    "RunFullHistory",
    "Runs",
    "Sweep",
    "SweepWithRuns",
    "UpsertBucket",
}
OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
BINARY_OPERATION = re.compile(rb"(?:query|mutation) [A-Z]\w+ ?[({]")
LONGEST = 6000


def python_documents(package: Path) -> Iterator[str]:
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "query " not in text and "mutation " not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                document = node.value
                if re.match(r"\s*(?:#[^\n]*\n\s*)*(?:query|mutation)\s+\w+", document) and "{" in document:
                    yield document


def binary_documents(package: Path) -> Iterator[str]:
    data = (package / "bin" / "wandb-core").read_bytes()
    for match in BINARY_OPERATION.finditer(data):
        text = data[match.start() : match.start() + LONGEST].decode("utf-8", errors="replace")
        yield text[: document_end(text)]


def document_end(text: str) -> int:
    """Return where the outermost braces close, behind the last fragment."""
    depth = 0
    for index, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "}" and depth == 0 and not text[index + 1 :].lstrip().startswith("fragment "):
            return index + 1
    return len(text)


@cache
def documents() -> dict[str, str]:
    spec = find_spec("wandb")
    if spec is None or spec.origin is None:
        pytest.skip("the wandb SDK is not installed")
    package = Path(spec.origin).parent
    found = {}
    for origin, texts in (("python", python_documents(package)), ("core", binary_documents(package))):
        for text in texts:
            operation = OPERATION.search(text)
            if operation and not OUT_OF_SCOPE.search(operation[1]):
                found[f"{origin}:{operation[1]}"] = text
    return found


def problems(name: str, document: str) -> list[str]:
    try:
        parsed = parse(document)
    except GraphQLError as error:
        return [] if name.partition(":")[2] in ASSEMBLED else [error.message]
    found = [error.message for error in validate(schema(), parsed)]
    if name.partition(":")[2] in ASSEMBLED:
        found = [message for message in found if "Unknown fragment" not in message]
    # Documents of older SDKs declare variables that they do not use.
    return [message for message in found if "is never used" not in message]


def test_documents_of_the_sdk_are_valid() -> None:
    """Outside of launch, automations and integrations the server supports every request of the SDK."""
    refused = {name: found for name, document in documents().items() if (found := problems(name, document))}

    assert refused == {}


def test_documents_are_found_in_python_and_in_the_binary() -> None:
    """A search that finds nothing would pass silently."""
    names = set(documents())

    assert {"core:UpsertBucket", "core:CreateArtifact", "core:RewindRun", "python:LinkArtifact"} <= names
    assert len(names) > 60
