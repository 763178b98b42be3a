"""The contract of downloads, for a folder and for memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from tests.wandb_artifacts.download_contract import DownloadContract, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestFolder(DownloadContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        folder = tmp_path / "to"

        def read() -> dict[str, bytes]:
            files = [path for path in folder.rglob("*") if path.is_file() and ".wandb-artifacts" not in path.parts]
            return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

        return Place(str(folder), {}, read)


class TestMemory(DownloadContract):
    @pytest.fixture
    def place(self) -> Iterator[Place]:
        memory = fsspec.filesystem("memory")

        def read() -> dict[str, bytes]:
            return {path.removeprefix("/bucket/to/"): memory.cat_file(path) for path in memory.find("/bucket/to")}

        yield Place("memory://bucket/to", {}, read)
        memory.store.clear()
