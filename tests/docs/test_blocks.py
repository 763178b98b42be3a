"""The code blocks of the documents are executed, or state why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.documents import ROOT, Block, blocks, documents

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.conftest import Shell

ALL = {page: blocks(page) for page in documents()}
# Of other languages, none is code that a reader would execute.
_LANGUAGES = {"python", "sh", "console", "text", "toml", "yaml", "json", "{toctree}", "{eval-rst}"}
_LANGUAGES |= {"{public-api}", "{public-names}"}


def executed(page: Path) -> list[Block]:
    return [block for block in ALL[page] if block.is_executed or block.file]


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in ALL if executed(page)])
def test_blocks_run_as_printed(page: Path, shell: Shell, tmp_path: Path) -> None:
    """In order, in one namespace, in an empty folder."""
    shell.execute(executed(page), tmp_path)


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in ALL])
def test_block_names_a_language(page: Path) -> None:
    assert not [str(block) for block in ALL[page] if block.language not in _LANGUAGES]


def test_every_fence_belongs_to_a_block() -> None:
    """A fence that is indented or longer would not be found, and its block not executed."""
    for page, found in ALL.items():
        assert page.read_text(encoding="utf-8").count("```") == 2 * len(found), page


def test_console_output_states_why_it_is_not_run() -> None:
    """Commands with their output are not executed, because the output varies."""
    shown = [block for found in ALL.values() for block in found if block.language == "console"]

    assert shown
    assert not [str(block) for block in shown if not block.not_run]
