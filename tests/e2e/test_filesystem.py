"""`wandb://` URLs of a run of the real SDK, read by common libraries."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.generic import rsync
from wandb_devserver import DevServer

from tests.support.preloaded.client import popen
from tests.support.sdk_settings import LIGHT_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator

pandas = pytest.importorskip("pandas")

NAMES = ("table.csv", "deep/er/model.bin", "a b ä 100% #1.txt", "what?.txt", "star*.txt")

PROGRAM = """
import pathlib
import sys

import wandb

folder, *names = sys.argv[1:]
with wandb.init(project="files", id="first", settings={"console": "off"}) as run:
    for name in names:
        path = pathlib.Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "x,y\\n1,2.5\\n3,4.5\\n" if name.endswith(".csv") else name * 1000
        path.write_text(text, encoding="utf-8")
        run.save(path, base_path=folder, policy="now")
    run.log({"loss": 0.5})
"""

ROOT = "local/files/first"


@dataclass(frozen=True)
class Logged:
    server: DevServer
    folder: Path

    @property
    def contents(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """One run for all tests, which only read it."""
    folder = tmp_path_factory.mktemp("files")
    work = tmp_path_factory.mktemp("work")
    known = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    with DevServer() as server:
        command = [sys.executable, "-c", PROGRAM, str(folder), *NAMES]
        with popen(command, {**known, **LIGHT_RUNS, **server.env, "WANDB_SILENT": "true"}, work) as process:
            _, errors = process.communicate(timeout=90)
        assert process.returncode == 0, errors
        yield Logged(server, folder)


@pytest.fixture
def fs(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in logged.server.env.items():
        monkeypatch.setenv(name, value)
    yield fsspec.filesystem("wandb")
    fsspec.get_filesystem_class("wandb").clear_instance_cache()


def test_tree_matches_the_server(fs: Any, logged: Logged) -> None:
    """Sizes match, and the SDK's own files are listed."""
    found = {path.removeprefix(f"{ROOT}/"): info for path, info in fs.find(ROOT, detail=True).items()}
    known = logged.server.run(ROOT).files

    assert {info["size"] for info in found.values()} == {file.size for file in known.values()}
    assert len(found) == len(known)
    assert {"table.csv", "deep/er/model.bin", "config.yaml", "wandb-summary.json"} <= found.keys()


@pytest.mark.parametrize("name", NAMES)
def test_file_with_special_characters_can_be_read(name: str, fs: Any, logged: Logged, tmp_path: Path) -> None:
    expected = logged.contents[name]

    assert fs.cat_file(f"{ROOT}/{name}") == expected
    assert fs.exists(f"{ROOT}/{name}")
    with fsspec.open(f"wandb://{ROOT}/{name}") as file:
        assert file.read() == expected
    fs.get_file(f"wandb://{ROOT}/{name}", str(tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == expected


def test_names_from_find_can_be_opened(fs: Any, logged: Logged) -> None:
    shown = fs.find(ROOT)
    found = {fs.cat_file(path) for path in shown}

    assert set(logged.contents.values()) <= found
    assert [fs.info(path)["name"] for path in shown] == shown


def test_pandas_reads_a_wandb_url(fs: Any, logged: Logged) -> None:
    frame = pandas.read_csv(f"wandb://{ROOT}/table.csv")

    assert frame.to_dict("list") == {"x": [1, 3], "y": [2.5, 4.5]}

    options = {"host": logged.server.url}
    assert pandas.read_csv(f"wandb://{ROOT}/table.csv", storage_options=options).equals(frame)


def test_get_and_rsync_copy_the_same_files(fs: Any, logged: Logged, tmp_path: Path) -> None:
    """The destinations are a folder and another filesystem."""
    fs.get(f"{ROOT}/", str(tmp_path), recursive=True)
    rsync(f"wandb://{ROOT}", "memory://copy", on_error="raise")

    memory = fsspec.filesystem("memory")
    copied = {path.removeprefix("/copy/"): memory.cat_file(path) for path in memory.find("/copy")}
    memory.rm("/copy", recursive=True)
    got = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert got == copied
    assert set(logged.contents.values()) <= set(got.values())


def test_file_cache_of_fsspec_can_be_used(fs: Any, logged: Logged, tmp_path: Path) -> None:
    """Chained URLs work; the options of the wandb part name the server."""
    url = f"filecache::wandb://{ROOT}/table.csv"
    options: dict[str, Any] = {"wandb": {"host": logged.server.url}, "filecache": {"cache_storage": str(tmp_path)}}

    with fsspec.open(url, "rt", **options) as file:
        assert file.read().startswith("x,y")
