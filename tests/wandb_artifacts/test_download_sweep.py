"""`download_sweep` against a real server."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import IncompleteDownloadError, NotFoundError, Progress, SweepDownload, SweepRef, download_sweep
from wandb_artifacts._client.options import PageSizes, RetryPolicy, use_options
from wandb_devserver import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with use_options(retry=RetryPolicy(first_wait=0.01)):
        yield


def test_sweep_has_one_folder_per_run(backend: WandbBackend, tmp_path: Path) -> None:
    """In the order of creation, also over several pages; other runs are left out."""
    names = ["e", "d", "c", "b", "a"]
    files = {f"f{index}": bytes([index]) for index in range(5)}
    path = backend.sweep(names, files=files, rows=[{"x": 1}, {"x": 2}])
    backend.run("other", files={"o": b"o"})

    with use_options(pages=PageSizes(runs=2, files_of_each=2)):
        result = download_sweep(path, tmp_path)

    assert [run.run.id for run in result.runs] == names
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*names, "manifest.json"])
    for run in result.runs:
        assert run.destination == str(tmp_path / run.run.id)
        assert {name: (tmp_path / run.run.id / name).read_bytes() for name in files} == files
        assert run.history_rows == 2
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["sweep"], manifest["folders"], manifest["is_complete"]) == (path, names, True)
    assert json.loads(json.dumps(result.to_dict()))["runs"][0]["run"]["id"] == "e"


def test_second_download_fetches_nothing(backend: WandbBackend, tmp_path: Path) -> None:
    """Only the list is requested."""
    path = backend.sweep(["a", "b"], files={"f": b"f"}, rows=[{"x": 1}])
    download_sweep(path, tmp_path)
    before = backend.server.requests.count("download"), backend.server.requests.count("graphql")

    result = download_sweep(path, tmp_path)

    downloads, queries = backend.server.requests.count("download"), backend.server.requests.count("graphql")
    assert (downloads, queries) == (before[0], before[1] + 1)
    assert {file.state for run in result.runs for file in run.files} == {"kept"}


def test_one_failing_file_does_not_stop_the_other_runs(backend: WandbBackend, tmp_path: Path) -> None:
    """The error names the run and the file; the next call fetches the rest."""
    path = backend.sweep(["a", "b"], files={"f": b"f"})
    backend.upload("b", {"bad": b"bad"})
    backend.server.faults.add(Fault("download", target="bad", status=404, count=None))

    with pytest.raises(IncompleteDownloadError, match="b/bad") as caught:
        download_sweep(path, tmp_path)

    result = pickle.loads(pickle.dumps(caught.value)).result
    assert isinstance(result, SweepDownload)
    assert [[lost.name for lost in run.failed] for run in result.runs] == [[], ["bad"]]
    assert not json.loads((tmp_path / "manifest.json").read_text())["is_complete"]

    backend.server.faults.clear()
    download_sweep(path, tmp_path)
    assert (tmp_path / "b/bad").read_bytes() == b"bad"
    assert json.loads((tmp_path / "manifest.json").read_text())["is_complete"]


def test_folder_of_a_deleted_run_is_stale(backend: WandbBackend, tmp_path: Path) -> None:
    """It stays, and is reported until it is deleted."""
    path = backend.sweep(["a", "b"], files={"f": b"f"})
    download_sweep(path, tmp_path)
    backend.delete_run("a")

    for _ in range(2):
        result = download_sweep(path, tmp_path)
        assert ([run.run.id for run in result.runs], result.stale) == (["b"], ("a",))


def test_missing_sweep_raises(backend: WandbBackend, tmp_path: Path) -> None:
    backend.run()

    with pytest.raises(NotFoundError, match="sweep local/p/nosuch"):
        download_sweep("local/p/nosuch", tmp_path)


def test_empty_sweep_is_complete(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.sweep()

    assert download_sweep(SweepRef.parse(path), tmp_path).runs == ()


def test_progress_counts_end_complete(backend: WandbBackend, tmp_path: Path) -> None:
    """At the end all known files and bytes are done; no count ever falls."""
    path = backend.sweep(["a", "b", "c"], files={"f": b"12345", "g": b"1"}, rows=[{"x": 1}])
    seen: list[Progress] = []

    download_sweep(path, tmp_path, progress=seen.append)

    last = seen[-1]
    assert (last.files_done, last.bytes_done) == (last.files_known, last.bytes_known) == (9, 18)
    assert [each.files_done for each in seen] == sorted(each.files_done for each in seen)
