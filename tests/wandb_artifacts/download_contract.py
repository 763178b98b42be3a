"""The contract of downloads, inherited by a test class for each kind of destination."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import IncompleteDownloadError, download_run, download_sweep, verify_download
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_devserver import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.wandb_artifacts.wandb_backend import WandbBackend

RECORDS = frozenset({"config.json", "run.json", "summary.json"})
"""The files that a download adds to those of the run."""
LARGE = os.urandom(2 * 1024 * 1024 + 17)
FILES = {"model.pt": LARGE, "media/a b.png": b"png", "empty": b"", "\u00fc.txt": b"text"}
FAULTS = {
    "status": Fault("download", status=500, count=3),
    "too many requests": Fault("download", status=429, headers={"Retry-After": "0"}, count=2),
    "drop": Fault("download", drop=True, count=2),
    "interrupted": Fault("download", target="model.pt", drop_after=1_500_000),
    "truncate": Fault("download", truncate_to=1, count=2),
    "bytes": Fault("download", wrong_bytes=True, count=3),
    "delay": Fault("download", delay=0.05, count=2),
    "digest": Fault("graphql", operation="Run", wrong_md5=True),
    "query": Fault("graphql", status=503, count=2),
    "lost response": Fault("graphql", drop=True, applied=True),
    "page": Fault("graphql", operation="HistoryPage", drop_after=30),
}


@dataclass(frozen=True)
class Place:
    """A destination of downloads, and how to read it."""

    destination: str
    options: dict[str, object]
    read: Callable[[], dict[str, bytes]]
    """Return all files of the destination by path."""


class DownloadContract:
    """Tests for a class that has a fixture `place`."""

    @pytest.fixture(autouse=True)
    def quick_retries(self) -> Iterator[None]:
        with use_options(retry=RetryPolicy(first_wait=0.01)):
            yield

    def test_second_download_fetches_nothing(self, backend: WandbBackend, place: Place) -> None:
        """Everything arrives the first time; a second call fetches nothing; the stored files verify."""
        path = backend.run(files=FILES, rows=[{"x": 1}, {"x": 2}], summary={"x": 2})

        first = download_run(path, place.destination, storage_options=place.options)
        fetched = backend.server.requests.count("download")
        second = download_run(path, place.destination, storage_options=place.options)

        found = place.read()
        assert {name: found[name] for name in FILES} == FILES
        assert [row["x"] for row in json.loads(found["metrics_history.json"])] == [1, 2]
        assert set(found) == {*FILES, *RECORDS, "metrics_history.json", "manifest.json"}
        assert {file.state for file in first.files} == {"new"}
        assert {file.state for file in second.files} == {"kept"}
        assert backend.server.requests.count("download") == fetched == len(FILES)
        assert verify_download(place.destination, storage_options=place.options).is_good

    @pytest.mark.parametrize("fault", FAULTS)
    def test_transient_faults_do_not_change_the_result(self, backend: WandbBackend, place: Place, fault: str) -> None:
        """The downloaded files are right, whatever W&B does."""
        path = backend.run(files=FILES, rows=[{"x": 1}])
        backend.server.faults.add(FAULTS[fault])

        result = download_run(path, place.destination, storage_options=place.options, jobs=2)

        found = place.read()
        assert {name: found[name] for name in FILES} == FILES
        assert result.history_rows == 1
        assert backend.server.faults.fired(FAULTS[fault])

    def test_one_failing_file_does_not_stop_the_others(self, backend: WandbBackend, place: Place) -> None:
        """The next call fetches only the missing file."""
        path = backend.run(files=FILES)
        backend.server.faults.add(Fault("download", target="model.pt", wrong_bytes=True, count=None))

        with pytest.raises(IncompleteDownloadError, match=r"model\.pt"):
            download_run(path, place.destination, storage_options=place.options)
        assert "model.pt" not in place.read()

        backend.server.faults.clear()
        result = download_run(path, place.destination, storage_options=place.options)
        assert [file.name for file in result.files if file.state == "new"] == ["model.pt"]
        assert place.read()["model.pt"] == LARGE

    def test_changed_files_are_replaced_and_removed_ones_are_stale(self, backend: WandbBackend, place: Place) -> None:
        """A file that W&B no longer has is stale."""
        path = backend.run(files={"a": b"1", "b": b"1", "c": b"1"})
        download_run(path, place.destination, storage_options=place.options)
        backend.upload("r", {"a": b"22"})
        backend.delete_files("r", "c")

        result = download_run(path, place.destination, storage_options=place.options)

        assert result.stale == ("c",)
        assert place.read()["a"] == b"22"

    def test_sweep_has_one_folder_per_run(self, backend: WandbBackend, place: Place) -> None:
        path = backend.sweep(["one", "two"], files={"a": b"a"}, rows=[{"x": 1}])

        result = download_sweep(path, place.destination, storage_options=place.options, history_format="jsonl")

        found = place.read()
        assert found["one/a"] == found["two/a"] == b"a"
        assert json.loads(found["two/metrics_history.jsonl"])["x"] == 1
        assert [run.history_rows for run in result.runs] == [1, 1]
        assert verify_download(place.destination, storage_options=place.options).is_good
