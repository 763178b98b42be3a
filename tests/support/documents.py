"""Code blocks of Markdown documents: which are executed, and why others are not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXECUTED = ("python", "sh")
_SITE = ROOT / "docs"
_BLOCK = re.compile(
    r"^(?P<marker><!-- (?P<kind>not run|executed by|file): (?P<text>.+?) -->\n)?"
    r"^```(?P<language>[\w{}-]*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced code block, and the marker in the line above it."""

    page: Path
    line: int
    """The line of the page where the code begins."""
    language: str
    code: str
    not_run: str = ""
    """Why the block is not executed, or what else executes it."""
    file: str = ""
    """The file that a test writes the block to, in place of executing it."""

    @property
    def is_executed(self) -> bool:
        return self.language in EXECUTED and not self.not_run

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Return the pages of the site and the READMEs."""
    pages = [page for page in sorted(_SITE.rglob("*.md")) if "_build" not in page.parts]
    return [*pages, ROOT / "README.md", *sorted(ROOT.glob("libs/*/README.md")), ROOT / "flyteplugins-wandb/README.md"]


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a document, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            line=text.count("\n", 0, found.start("code")) + 1,
            language=found["language"],
            code=found["code"],
            not_run=found["text"] if found["kind"] in ("not run", "executed by") else "",
            file=found["text"] if found["kind"] == "file" else "",
        )
        for found in _BLOCK.finditer(text)
    ]
