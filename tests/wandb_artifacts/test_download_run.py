"""`download_run` against a real server."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import pickle
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import (
    AccessDeniedError,
    AuthenticationError,
    DeadlineError,
    IncompleteDownloadError,
    InvalidValueError,
    NotFoundError,
    Progress,
    RunDownload,
    RunRef,
    ServerAnswerError,
    ServerUnavailableError,
    download_run,
)
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_devserver import Fault

from tests.wandb_artifacts.download_contract import RECORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wandb_artifacts.wandb_backend import WandbBackend

LARGE = os.urandom(3 * 1024 * 1024 + 17)
POLICY = RetryPolicy(first_wait=0.01, longest_wait=0.02)


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with use_options(retry=POLICY):
        yield


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def strict(data: bytes) -> Any:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    return json.loads(data, parse_constant=refuse)


def short(value: object) -> str:
    """Return a test id: the fields of a fault that differ from the default."""
    if not isinstance(value, Fault):
        return getattr(value, "__name__", str(value))
    plain = Fault(value.kind, delay=1.0)
    return " ".join(f"{name}={given}" for name, given in vars_of(value) if given != getattr(plain, name))


def vars_of(fault: Fault) -> list[tuple[str, Any]]:
    return [(field.name, getattr(fault, field.name)) for field in dataclasses.fields(fault)]


def states(result: RunDownload) -> dict[str, str]:
    return {file.path: file.state for file in result.files}


def test_download_has_files_summary_history_and_manifest(backend: WandbBackend, tmp_path: Path) -> None:
    """Nested values and special characters are preserved; the summary and the history are strict JSON."""
    files = {"model.pt": LARGE, "media/images/a b.png": b"png", "empty.txt": b"", "übung.txt": "ä".encode()}
    rows: list[dict[str, object]] = [{"loss": 1.5, "nested": {"a": [1, 2]}}, {"loss": math.nan}, {"acc": math.inf}]
    path = backend.run(files=files, rows=rows, summary={"best": {"loss": 0.5}, "bad": math.nan})

    result = download_run(path, tmp_path / "run")

    found = tree(tmp_path / "run")
    assert {name: found[name] for name in files} == files
    assert strict(found["summary.json"]) == {"best": {"loss": 0.5}, "bad": None}
    assert strict(found["metrics_history.json"]) == [
        {"_step": 0, "loss": 1.5, "nested": {"a": [1, 2]}},
        {"_step": 1, "loss": None},
        {"_step": 2, "acc": None},
    ]
    assert set(found) == {*files, *RECORDS, "metrics_history.json", "manifest.json"}
    assert result.history_rows == 3
    assert result.run_state == "finished"
    assert not result.is_live
    assert {file.path: (file.size, file.md5) for file in result.files} == {
        name: (len(data), hashlib.md5(data).hexdigest()) for name, data in found.items() if name != "manifest.json"
    }
    manifest = strict(found["manifest.json"])
    assert manifest["is_complete"]
    assert (manifest["run"], manifest["run_state"], manifest["is_live"]) == (path, "finished", False)
    assert manifest["history"]["rows"] == 3


def test_second_download_fetches_nothing(backend: WandbBackend, tmp_path: Path) -> None:
    """Complete and unchanged files are kept."""
    path = backend.run(files={"a.txt": b"a", "b.bin": LARGE}, rows=[{"x": 1}])
    first = download_run(path, tmp_path)
    before = backend.server.requests.count("download"), backend.server.requests.count("graphql", "HistoryPage")

    second = download_run(path, tmp_path)

    after = backend.server.requests.count("download"), backend.server.requests.count("graphql", "HistoryPage")
    assert after == before
    assert set(states(first).values()) == {"new"}
    assert set(states(second).values()) == {"kept"}
    assert second.history_rows == 1


def test_changed_files_are_fetched_again(backend: WandbBackend, tmp_path: Path) -> None:
    """A file may be new, changed at W&B, or changed at the destination."""
    path = backend.run(files={"same": b"same", "there": b"1", "here": b"here", "cut": b"cut"}, rows=[{"x": 1}])
    download_run(path, tmp_path)
    backend.upload("r", {"there": b"2", "more": b"more"})
    (tmp_path / "here").write_bytes(b"HERE")
    (tmp_path / "cut").write_bytes(b"c")
    os.utime(tmp_path / "same", (1, 1))

    result = download_run(path, tmp_path)

    assert states(result) == {
        "config.json": "kept",
        "cut": "new",
        "here": "new",
        "metrics_history.json": "kept",
        "more": "new",
        "run.json": "kept",
        "same": "kept",
        "summary.json": "kept",
        "there": "new",
    }
    assert tree(tmp_path)["there"] == b"2"
    assert tree(tmp_path)["here"] == b"here"


def test_files_without_a_manifest_are_recognized_by_digest(backend: WandbBackend, tmp_path: Path) -> None:
    """A killed download leaves no manifest."""
    path = backend.run(files={"a": b"a", "b": b"b"})
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"x")

    result = download_run(path, tmp_path, include_history=False)

    assert states(result) == {"a": "kept", "b": "new", **dict.fromkeys(RECORDS, "new")}


def test_stale_files_are_reported(backend: WandbBackend, tmp_path: Path) -> None:
    """Files that W&B has removed stay, and are reported until they are deleted."""
    path = backend.run(files={"old": b"old", "new": b"new"})
    download_run(path, tmp_path)
    backend.delete_files("r", "old")

    for _ in range(2):
        assert download_run(path, tmp_path).stale == ("old",)
    (tmp_path / "old").unlink()
    assert download_run(path, tmp_path).stale == ()


def test_include_and_exclude_select_files(backend: WandbBackend, tmp_path: Path) -> None:
    """Patterns match names at W&B; files that are left out are neither fetched nor stale."""
    path = backend.run(files={"a.pt": b"1", "b.pt": b"2", "media/c.pt": b"3", "d.txt": b"4"})
    download_run(path, tmp_path)

    result = download_run(path, tmp_path, include=["*.pt"], exclude="media/*", include_history=False)
    again = download_run(path, tmp_path)

    assert states(result) == {"a.pt": "kept", "b.pt": "kept", **dict.fromkeys(RECORDS, "kept")}
    assert result.stale == ()
    assert set(states(again).values()) == {"kept"}


def test_manifest_keeps_files_that_were_left_out(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run(files={"a.pt": b"1", "d.txt": b"4"})
    download_run(path, tmp_path)

    download_run(path, tmp_path, include="*.pt")

    assert [file["name"] for file in strict(tree(tmp_path)["manifest.json"])["files"]] == ["a.pt", "d.txt"]


def test_interrupted_download_is_marked_incomplete(backend: WandbBackend, tmp_path: Path) -> None:
    """The manifest is marked before the first file changes."""
    path = backend.run(files={"a": b"1"})
    download_run(path, tmp_path)
    backend.upload("r", {"a": b"2"})

    def interrupt(progress: Progress) -> None:
        if progress.name == "a":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        download_run(path, tmp_path, progress=interrupt)

    assert not strict(tree(tmp_path)["manifest.json"])["is_complete"]


def test_failed_file_is_not_stale(backend: WandbBackend, tmp_path: Path) -> None:
    """The file in the folder is old, but W&B has a file of that name."""
    path = backend.run(files={"a": b"1"})
    download_run(path, tmp_path)
    backend.upload("r", {"a": b"2"})
    backend.server.faults.add(Fault("download", status=404, count=None))

    with pytest.raises(IncompleteDownloadError) as caught:
        download_run(path, tmp_path)

    assert caught.value.result.stale == ()


def test_file_replaced_during_the_download_has_its_new_contents(backend: WandbBackend, tmp_path: Path) -> None:
    """The file is replaced between the listing and its turn."""
    path = backend.run(files={"a": b"a", "b": b"old"}, ends=False)

    def replace(progress: Progress) -> None:
        if progress.name == "a" and progress.state == "done":
            backend.upload("r", {"b": b"newer"})

    result = download_run(path, tmp_path, jobs=1, progress=replace, include_history=False)

    assert tree(tmp_path)["b"] == b"newer"
    assert {file.path: file.size for file in result.files}["b"] == 5


def test_changed_history_is_exported_again(backend: WandbBackend, tmp_path: Path) -> None:
    """After a change of the file, for another format, and always while the run is active."""
    path = backend.run(rows=[{"x": 1}], ends=False)
    assert states(download_run(path, tmp_path))["metrics_history.json"] == "new"
    assert states(download_run(path, tmp_path))["metrics_history.json"] == "new"
    backend.end("r")
    download_run(path, tmp_path)
    assert states(download_run(path, tmp_path))["metrics_history.json"] == "kept"

    (tmp_path / "metrics_history.json").write_bytes(b"[]")
    assert states(download_run(path, tmp_path))["metrics_history.json"] == "new"

    result = download_run(path, tmp_path, history_format="jsonl")
    assert (result.history_path, result.stale) == ("metrics_history.jsonl", ("metrics_history.json",))
    assert strict(tree(tmp_path)["metrics_history.jsonl"]) == {"_step": 0, "x": 1}


def test_folder_of_another_run_can_be_reused(backend: WandbBackend, tmp_path: Path) -> None:
    """Files that both runs have are kept, all others are fetched, even if both runs ended at the same moment."""
    first = backend.run("first", rows=[{"x": 1}], files={"both": b"same", "mine": b"1"})
    second = backend.run("second", rows=[{"x": 2}], files={"both": b"same"})
    here, there = tmp_path / "here", tmp_path / "there"
    download_run(first, here)
    download_run(second, there)
    manifests = [strict((folder / "manifest.json").read_bytes()) for folder in (here, there)]
    manifests[0]["history"]["heartbeat_at"] = manifests[1]["history"]["heartbeat_at"]
    (here / "manifest.json").write_text(json.dumps(manifests[0]))

    without = download_run(second, here, include_history=False)
    result = download_run(second, here)

    assert without.stale == ("metrics_history.json", "mine")
    assert strict(tree(here)["metrics_history.json"]) == [{"_step": 0, "x": 2}]
    assert states(result)["both"] == "kept"
    assert result.stale == ("mine",)


def test_parquet_without_pyarrow_raises_before_any_request(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the package to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    requests = backend.server.requests.count("graphql")

    with pytest.raises(InvalidValueError, match="parquet"):
        download_run(backend.path("r"), tmp_path, history_format="parquet")

    assert backend.server.requests.count("graphql") == requests


def test_live_run_is_reported_and_completed_later(backend: WandbBackend, tmp_path: Path) -> None:
    """An active run is reported as live; the next call fetches what was logged since."""
    path = backend.run(files={"output.log": b"1"}, rows=[{"x": 1}], ends=False)
    first = download_run(path, tmp_path)
    backend.log("r", [{"x": 2}], offset=1)
    backend.upload("r", {"output.log": b"12"})
    backend.end("r")

    second = download_run(path, tmp_path)

    assert (first.is_live, first.history_rows) == (True, 1)
    assert (second.is_live, second.history_rows) == (False, 2)
    assert tree(tmp_path)["output.log"] == b"12"


def test_download_of_a_running_run_has_no_gaps(backend: WandbBackend, tmp_path: Path) -> None:
    """Each download has every row up to some moment; the last one has all rows."""
    path = backend.run(rows=[{"x": 0}], ends=False)
    is_over = threading.Event()

    def train() -> None:
        for step in range(1, 200):
            backend.log("r", [{"x": step}], offset=step)
        backend.end("r")
        is_over.set()

    def rows() -> list[int]:
        return [row["x"] for row in strict((tmp_path / "metrics_history.json").read_bytes())]

    training = threading.Thread(target=train)
    training.start()
    seen = 0
    while not is_over.is_set():
        result = download_run(path, tmp_path)
        assert rows() == list(range(len(rows())))
        assert len(rows()) == result.history_rows
        assert len(rows()) >= seen
        seen = len(rows())
    training.join()

    assert not download_run(path, tmp_path).is_live
    assert rows() == list(range(200))


def test_reserved_and_colliding_names_get_separate_files(backend: WandbBackend, tmp_path: Path) -> None:
    """Names that the download itself uses, and names that differ only in case."""
    path = backend.run(files={"summary.json": b"mine", "manifest.json": b"mine too", "A": b"1", "a": b"2", "a/b": b"3"})

    result = download_run(path, tmp_path, include_history=False)

    by_name = {file.name: file.path for file in result.files if file.path not in RECORDS}
    assert len({path.lower() for path in by_name.values()}) == 5
    assert len({file.name for file in result.files}) == len(result.files)
    assert (tmp_path / by_name["summary.json"]).read_bytes() == b"mine"
    assert {(tmp_path / by_name[name]).read_bytes() for name in ("A", "a", "a/b")} == {b"1", b"2", b"3"}
    assert (tmp_path / by_name["manifest.json"]).read_bytes() == b"mine too"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("download", status=500, count=2),
        Fault("download", status=429, headers={"Retry-After": "0"}),
        Fault("download", status=503, headers={"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}),
        Fault("download", drop=True),
        Fault("download", drop_after=1_500_000, count=2),
        Fault("download", drop_after=3),
        Fault("download", truncate_to=2_000_000),
        Fault("download", wrong_bytes=True),
        Fault("graphql", status=502, count=2),
        Fault("graphql", drop=True),
        Fault("graphql", operation="HistoryPage", status=500),
    ],
    ids=short,
)
def test_transient_faults_do_not_change_the_result(backend: WandbBackend, tmp_path: Path, fault: Fault) -> None:
    """Transient failures are retried, and the files are right."""
    path = backend.run(files={"large": LARGE, "small": b"small"}, rows=[{"x": 1}])
    backend.server.faults.add(fault)

    result = download_run(path, tmp_path, jobs=1)

    assert backend.server.faults.fired(fault)
    assert tree(tmp_path)["large"] == LARGE
    assert tree(tmp_path)["small"] == b"small"
    assert result.history_rows == 1


def test_interrupted_response_is_resumed(backend: WandbBackend, tmp_path: Path) -> None:
    """Received bytes are not fetched again: the second request is for the rest."""
    path = backend.run(files={"large": LARGE})
    backend.server.faults.add(Fault("download", target="large", drop_after=2 * 1024 * 1024))
    received: list[int] = []

    def note(progress: Progress) -> None:
        if progress.name == "large":
            received.append(progress.received)

    download_run(path, tmp_path, progress=note)

    assert received == sorted(received)
    assert tree(tmp_path)["large"] == LARGE


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("graphql", status=401, count=None), AuthenticationError),
        (Fault("graphql", status=403, count=None), AccessDeniedError),
        (Fault("graphql", status=404, count=None), NotFoundError),
        (Fault("graphql", status=400, body="no such field", count=None), ServerAnswerError),
        (Fault("graphql", status=200, body="<html>", count=None), ServerAnswerError),
        (Fault("graphql", status=500, count=None), ServerUnavailableError),
        (Fault("download", status=401, count=None), AuthenticationError),
    ],
    ids=short,
)
def test_permanent_fault_raises(backend: WandbBackend, tmp_path: Path, fault: Fault, expected: type[Exception]) -> None:
    """Each status has its exception; only transient ones are retried; the key is not shown."""
    path = backend.run(files={"a": b"a"})
    backend.server.faults.add(fault)

    with pytest.raises(expected) as caught:
        download_run(path, tmp_path)

    assert backend.server.faults.fired(fault) == (POLICY.attempts if expected is ServerUnavailableError else 1)
    assert backend.server.api_key not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("status", [403, 404, 500])
def test_one_failing_file_does_not_stop_the_others(backend: WandbBackend, tmp_path: Path, status: int) -> None:
    """The error lists exactly what is missing; the next call fetches only that."""
    path = backend.run(files={f"f{index}": b"x" for index in range(5)}, rows=[{"x": 1}])
    backend.server.faults.add(Fault("download", target="f3", status=status, count=None))

    with pytest.raises(IncompleteDownloadError, match="f3") as caught:
        download_run(path, tmp_path)

    result = pickle.loads(pickle.dumps(caught.value)).result
    assert [failure.name for failure in result.failed] == ["f3"]
    assert set(states(result)) == {"f0", "f1", "f2", "f4", "metrics_history.json", *RECORDS}
    assert not strict(tree(tmp_path)["manifest.json"])["is_complete"]

    backend.server.faults.clear()
    again = download_run(path, tmp_path)
    assert [name for name, state in states(again).items() if state == "new"] == ["f3"]
    assert strict(tree(tmp_path)["manifest.json"])["is_complete"]


def test_file_with_a_wrong_digest_is_not_stored(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run(files={"a": b"a", "large": LARGE})
    backend.server.faults.add(Fault("download", wrong_bytes=True, count=None))

    with pytest.raises(IncompleteDownloadError) as caught:
        download_run(path, tmp_path, include_history=False)

    assert isinstance(caught.value.result, RunDownload)
    assert {failure.name for failure in caught.value.result.failed} == {"a", "large"}
    assert {name for name in tree(tmp_path) if not name.startswith(".")} == {*RECORDS, "manifest.json"}


def test_deadline_ends_the_download(backend: WandbBackend, tmp_path: Path) -> None:
    """The server hangs for longer."""
    path = backend.run(files={"a": b"a", "b": b"b"})
    backend.server.faults.add(Fault("download", target="b", delay=60.0))

    with pytest.raises(DeadlineError, match=r"deadline=1\.5"):
        download_run(path, tmp_path, deadline=1.5)

    assert tree(tmp_path)["a"] == b"a"


def test_deadline_error_names_the_last_failure(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run()
    backend.server.faults.add(Fault("graphql", status=502, count=None))

    with use_options(retry=replace(POLICY, attempts=None)), pytest.raises(DeadlineError, match="responded with 502"):
        download_run(path, tmp_path, deadline=1.0)


def test_every_form_of_reference_is_accepted(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A RunRef, a path, the URL of a page, and a bare id with defaults in the environment."""
    backend.run(files={"a": b"a"})
    ref = RunRef("local", "p", "r")
    monkeypatch.setenv("WANDB_ENTITY", "local")
    monkeypatch.setenv("WANDB_PROJECT", "p")
    for reference in (ref, str(ref), "r", f"{backend.server.url}/local/p/runs/r?nw=1"):
        result = download_run(reference, tmp_path)
        assert (result.run.id, result.run.host) == ("r", backend.server.url)


def test_cloud_url_is_not_sent_the_key_of_another_server(backend: WandbBackend, tmp_path: Path) -> None:
    """The run is not searched on the configured server either."""
    backend.run(files={"a": b"a"})

    with pytest.raises(AuthenticationError, match="another server"):
        download_run("https://wandb.ai/local/p/runs/r", tmp_path)


def test_missing_key_raises_before_any_request(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable to set."""
    path = backend.run()
    requests = backend.server.requests.count("graphql")
    monkeypatch.delenv("WANDB_API_KEY")

    with pytest.raises(AuthenticationError, match="WANDB_API_KEY"):
        download_run(path, tmp_path)

    assert backend.server.requests.count("graphql") == requests


def test_key_is_sent_to_the_configured_server_only(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of a pasted URL does not get the key; netrc may have one for it."""
    backend.run(files={"a": b"a"})
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    page = f"{backend.server.url}/local/p/runs/r"

    with pytest.raises(AuthenticationError, match="another server"):
        download_run(page, tmp_path)

    netloc = backend.server.url.removeprefix("http://")
    Path(os.environ["NETRC"]).write_text(f"machine {netloc}\n login user\n password {backend.server.api_key}\n")
    assert states(download_run(page, tmp_path))["a"] == "new"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"jobs": 0}, "jobs"),
        ({"jobs": True}, "jobs"),
        ({"deadline": -1}, "deadline"),
        ({"history_format": "csv"}, "history_format"),
        ({"include": [""]}, "include"),
        ({"exclude": [1]}, "exclude"),
        ({"storage_options": "x"}, "storage_options"),
        ({"run": 5}, "run"),
        ({"run": "a/b/c/d"}, "run"),
        ({"run": "r"}, "run"),
        ({"destination": ""}, "destination"),
        ({"destination": "nosuch://x"}, "destination"),
    ],
    ids=short,
)
def test_invalid_argument_raises_before_any_request(
    backend: WandbBackend, tmp_path: Path, arguments: dict[str, Any], field: str
) -> None:
    """The error names the argument."""
    requests = backend.server.requests.count("graphql")

    with pytest.raises(InvalidValueError) as caught:
        download_run(**{"run": "local/p/r", "destination": tmp_path, **arguments})

    assert caught.value.field == field
    assert backend.server.requests.count("graphql") == requests
