"""Lint for plain technical English: `hatch run lint:prose`.

`prose.toml` beside this file lists the refused phrases, what to write instead, and every exception with its reason.
Names of tests are checked too: they state a behaviour in two or more words, and begin with its subject.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import tomli

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
WORDS = Path(__file__).with_name("prose.toml")
SUFFIXES = {".py", ".md", ".toml", ".html", ".graphql", ".sql", ".js", ".css"}
RIDDLE = re.compile(r"(What|Which|Who|Whose|And|Or|Nor|Also)\b")
NO_SUBJECT = re.compile(r"(a|an|the|what|which|who|whose) ")
# A phrase may be broken over two lines, of a comment too.
GAP = r"(?:\s|\n\s*(?:#|//|--)\s*)+"


@dataclass(frozen=True)
class Phrase:
    """A refused phrase, and what to write instead."""

    text: str
    instead: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The phrase as whole words, also at the start of a sentence; `(s)` at its end makes the plural optional."""
        text = self.text.strip()
        plural = text.endswith("(s)")
        words = GAP.join(map(re.escape, text.removesuffix("(s)").split()))
        return re.compile(rf"\b(?i:{words[0]}){words[1:]}{'s?' if plural else ''}\b")


@dataclass(frozen=True)
class Exemption:
    """Text that may stand as it is, in the files that a glob names."""

    file: str
    text: str

    def covers(self, path: str, content: str, start: int, end: int) -> bool:
        """Whether the text at this place of a file is exempt."""
        if not fnmatch(path, self.file):
            return False
        pattern = re.compile(GAP.join(map(re.escape, self.text.split())), re.IGNORECASE)
        return any(found.start() <= start and end <= found.end() for found in pattern.finditer(content))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("paths", nargs="*", help="files or folders, relative to the repository; all by default")
    paths = parser.parse_args().paths
    words = tomli.loads(WORDS.read_text(encoding="utf-8"))
    phrases = [Phrase(entry["text"], entry["instead"]) for entry in words["phrase"]]
    exemptions = [Exemption(entry["file"], entry["text"]) for entry in words["exception"] if entry["reason"]]
    used: set[Exemption] = set()
    problems = [problem for path in files(paths) for problem in lint(path, phrases, exemptions, used)]
    if not paths:
        unused = [exemption for exemption in exemptions if exemption not in used]
        problems += [f"{WORDS.name}: the exception {one.text!r} in {one.file!r} covers nothing" for one in unused]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def files(paths: list[str]) -> list[str]:
    """The tracked documents and sources below the paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *paths],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    own = {"scripts/prose.toml", "scripts/lint_prose.py"}
    return [path for path in listed if Path(path).suffix in SUFFIXES and path not in own and (ROOT / path).exists()]


def lint(path: str, phrases: list[Phrase], exemptions: list[Exemption], used: set[Exemption]) -> Iterator[str]:
    """The problems of one file, one line each."""
    content = (ROOT / path).read_text(encoding="utf-8")

    def is_exempt(text: str, start: int, end: int) -> bool:
        covering = [exemption for exemption in exemptions if exemption.covers(path, text, start, end)]
        used.update(covering)
        return bool(covering)

    for start, end, instead in refused(content, phrases):
        if not is_exempt(content, start, end):
            line = content.count("\n", 0, start) + 1
            yield f"{path}:{line}: {' '.join(content[start:end].split())!r}: write {instead}"
    if path.endswith(".py"):
        tree = ast.parse(content)
        yield from lint_docstrings(path, tree)
        for name, line in names_of_tests(tree):
            for start, end, instead in (*refused(name, phrases), *refused_as_name(name)):
                if not is_exempt(name, start, end):
                    yield f"{path}:{line}: test {name!r}: write {instead}"


def refused(text: str, phrases: list[Phrase]) -> Iterator[tuple[int, int, str]]:
    """The refused phrases in a text: start, end, what to write instead."""
    for phrase in phrases:
        for found in phrase.pattern.finditer(text):
            yield *found.span(), phrase.instead


def refused_as_name(name: str) -> Iterator[tuple[int, int, str]]:
    """The parts of a test's name that do not belong there: start, end, what to write instead."""
    if found := NO_SUBJECT.match(name):
        yield *found.span(), "the subject first, without an article"
    if len(name.split()) < 2:
        yield 0, len(name), "the behaviour in two or more words"


def names_of_tests(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names of test functions as words, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name.removeprefix("test_").replace("_", " "), node.lineno


def lint_docstrings(path: str, tree: ast.AST) -> Iterator[str]:
    """Docstrings of modules, classes, functions and attributes that are riddles."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring))) if RIDDLE.match(docstring.lstrip()):
                first = docstring.split()[0]
                yield f"{path}:{node.lineno}: the docstring begins with {first!r}: begin with a noun or a verb"


if __name__ == "__main__":
    sys.exit(main())
