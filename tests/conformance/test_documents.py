"""The GraphQL documents of the installed SDK, against the schema of the server."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import wandb
from graphql import GraphQLError, parse, validate
from wandb_devserver._graphql.schema import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

# Launch, automations and integrations.
OUT_OF_SCOPE = re.compile(
    r"Automation|Integration|RunQueue|runQueue|LaunchAgent|launchAgent|ResourceConfig|Introspection|TypeIntrospection"
)
# Templates in Python, which the SDK completes when it sends them; the other tests send them.
TEMPLATES = {
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
    "UpsertSweep",
}
INCOMPLETE = re.compile(r"Unknown fragment|_PROJECT_QUERY_")
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


@dataclass(frozen=True)
class Document:
    """A document of the SDK, found in its Python code or in its binary."""

    origin: Literal["python", "core"]
    operation: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.origin}:{self.operation}"

    @property
    def is_template(self) -> bool:
        return self.origin == "python" and self.operation in TEMPLATES


@cache
def documents() -> tuple[Document, ...]:
    """All documents in scope; an operation may have several, which differ."""
    package = Path(wandb.__file__).parent
    texts: list[tuple[Literal["python", "core"], str]] = [
        *(("python", text) for text in python_documents(package)),
        *(("core", text) for text in binary_documents(package)),
    ]
    found = [Document(origin, match[1], text) for origin, text in texts if (match := OPERATION.search(text))]
    return tuple(document for document in found if not OUT_OF_SCOPE.search(document.operation))


def problems(document: Document) -> list[str]:
    try:
        parsed = parse(document.text)
    except GraphQLError as error:
        return [] if document.is_template else [error.message]
    found = [error.message for error in validate(schema(), parsed)]
    if document.is_template:
        found = [message for message in found if not INCOMPLETE.search(message)]
    # Documents of older SDKs declare variables that they do not use.
    return [message for message in found if "is never used" not in message]


def test_documents_of_the_sdk_are_valid() -> None:
    """Outside of launch, automations and integrations the server supports every request of the SDK."""
    refused = [(document.name, found) for document in documents() if (found := problems(document))]

    assert refused == []


def test_documents_are_found_in_python_and_in_the_binary() -> None:
    """A search that finds nothing would pass silently. wandb 0.28.2 and 0.31.0 have 126 operations in scope."""
    names = {document.name for document in documents()}
    count = Counter(name.partition(":")[0] for name in names)

    assert {"core:UpsertBucket", "core:CreateArtifact", "core:RewindRun", "python:LinkArtifact"} <= names
    assert count["python"] >= 90
    assert count["core"] >= 25
    assert len({name.partition(":")[2] for name in names}) >= 120
