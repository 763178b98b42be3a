"""Sphinx extension: translates docstrings, which are Markdown, and help of commands, which is plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

_CODE = re.compile(r"(?<![`:])`([^`]+)`(?!`)")
_STAR = re.compile(r"(?<!\*)\*(?!\*)")
_BEFORE_NAPOLEON = 400


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _translate, priority=_BEFORE_NAPOLEON)
    for part in ("description", "options"):
        app.connect(f"sphinx-click-process-{part}", _escape)
    app.connect("sphinx-click-process-epilog", _keep_as_printed)
    return {"parallel_read_safe": True}


def _escape(_app: Sphinx, _context: object, lines: list[str]) -> None:
    lines[:] = [_STAR.sub(r"\*", line) for line in lines]


def _keep_as_printed(_app: Sphinx, _context: object, lines: list[str]) -> None:
    code = [f"   {line.removeprefix('| ')}" for line in lines]
    lines[:] = [".. code-block:: text", "", *code, ""] if lines else []


def _translate(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    lines[:] = list(translate(lines))


def translate(lines: list[str]) -> Iterator[str]:
    """Translate fenced code, tables and code in backticks."""
    rest = iter([*lines, ""])
    table: list[str] = []
    for line in rest:
        if line.strip().startswith("|"):
            table.append(line)
            continue
        if table:
            yield from _table(table)
            table = []
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip().startswith("```"):
            yield from (f"{indent}.. code-block:: {line.strip('` ') or 'none'}", "")
            for code in rest:
                if code.strip() == "```":
                    break
                yield f"    {code}" if code else ""
            yield ""
        else:
            yield _literals(line)


def _table(rows: list[str]) -> Iterator[str]:
    indent = rows[0][: rows[0].index("|")]
    yield from (f"{indent}.. list-table::", f"{indent}   :header-rows: 1", "")
    for row in (rows[0], *rows[2:]):
        for column, cell in enumerate(row.strip().strip("|").split("|")):
            bullet = "- " if column else "* - "
            yield f"{indent}   {bullet:>4}{_literals(cell.strip())}"
    yield ""


def _literals(text: str) -> str:
    return _CODE.sub(r"``\1``", text)
