"""Records that a download adds to a run's files: identity, config, summary and console output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import IncompleteDownloadError, RunDownload, download_run, download_sweep, verify_download
from wandb_artifacts._client.options import PageSizes, use_options
from wandb_artifacts.filesystem import WandbFileSystem

from tests.wandb_artifacts.hostile_server import HostileServer, file_node, open_hostile_server, page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

CONFIG = {"lr": {"value": 0.1}, "nested": {"value": {"a": [1, float("nan")]}}, "_wandb": {"value": {"t": 1}}}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_records_have_identity_and_config(backend: WandbBackend, tmp_path: Path) -> None:
    metadata = {"wandb-metadata.json": b'{"host": "node-7"}'}
    path = backend.run(
        files=metadata,
        config=json.dumps(CONFIG),
        displayName="calm-sea-1",
        notes="first try",
        tags=["a", "b"],
        groupName="g",
        jobType="train",
    )

    download_run(path, tmp_path)

    found = read(tmp_path / "run.json")
    expected = {
        "entity": "local",
        "project": "p",
        "id": "r",
        "name": "calm-sea-1",
        "notes": "first try",
        "tags": ["a", "b"],
        "group": "g",
        "job_type": "train",
        "sweep": None,
        "state": "finished",
        "exit_code": 0,
        "host": "node-7",
        "config": {"lr": 0.1, "nested": {"a": [1, None]}},
        "url": f"{backend.server.url}/local/p/runs/r",
    }
    assert {key: found[key] for key in expected} == expected
    assert found.keys() - expected.keys() == {"created_at", "updated_at", "user"}
    assert all(found[key] for key in ("created_at", "updated_at", "user"))
    assert read(tmp_path / "config.json") == expected["config"]


def test_each_run_of_a_sweep_has_its_records(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.sweep(["one", "two"], config=json.dumps(CONFIG))

    download_sweep(path, tmp_path)

    for name in ("one", "two"):
        assert (read(tmp_path / name / "run.json")["id"], read(tmp_path / name / "run.json")["sweep"]) == (
            name,
            path.rpartition("/")[2],
        )
        assert read(tmp_path / name / "config.json")["lr"] == 0.1


def log_console(backend: WandbBackend, *lines: str) -> None:
    content = [f"2026-01-01T00:00:00.000000 {line}" for line in lines]
    backend._stream("r", {"files": {"output.log": {"offset": 0, "content": content}}})


@pytest.mark.parametrize("ends", [True, False])
def test_console_lines_are_stored_as_a_file(backend: WandbBackend, tmp_path: Path, ends: bool) -> None:
    """The SDK uploads `output.log` only when a run ends normally."""
    path = backend.run(ends=False)
    lines = [f"line {number}" for number in range(7)]
    log_console(backend, *lines)
    if ends:
        backend.end("r", exit_code=1)

    with use_options(pages=PageSizes(lines=3)):
        first = download_run(path, tmp_path)
        second = download_run(path, tmp_path)

    assert (tmp_path / "output.log").read_text().splitlines() == lines
    states = [{file.name: file.state for file in result.files}["output.log"] for result in (first, second)]
    assert states == ["new", "kept" if ends else "new"]
    assert read(tmp_path / "run.json")["state"] == ("failed" if ends else "running")
    assert verify_download(tmp_path).is_good


@pytest.mark.parametrize("name", ["output.log", "output_rank0.log", "Output.log"])
def test_uploaded_log_replaces_console_lines(backend: WandbBackend, tmp_path: Path, name: str) -> None:
    path = backend.run(files={name: b"of the SDK\n"}, ends=False)
    log_console(backend, "a line")

    result = download_run(path, tmp_path)

    assert (tmp_path / name).read_bytes() == b"of the SDK\n"
    assert [file.name for file in result.files if file.name.lower().startswith("output")] == [name]


def test_console_output_can_be_excluded(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run(ends=False)
    log_console(backend, "a line")

    download_run(path, tmp_path, exclude="*.log")

    assert not (tmp_path / "output.log").exists()


def test_listing_has_config_and_console_output(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run(files={"a": b"a"}, config=json.dumps(CONFIG), ends=False)
    log_console(backend, "one", "two")
    fs = WandbFileSystem(skip_instance_cache=True)

    assert set(fs.ls(path, detail=False)) == {f"{path}/{name}" for name in ("a", "config.json", "output.log")}
    assert json.loads(fs.cat_file(f"{path}/config.json")) == {"lr": 0.1, "nested": {"a": [1, None]}}
    assert fs.info(f"{path}/config.json")["size"] == len(fs.cat_file(f"{path}/config.json"))
    assert fs.cat_file(f"{path}/output.log") == b"one\ntwo\n"
    assert fs.cat_file(f"{path}/output.log", 4, 7) == b"two"
    with fs.open(f"{path}/output.log", "rb") as file:
        assert file.read() == b"one\ntwo\n"
    with fs.open(f"{path}/config.json", "rb") as file:
        assert json.load(file)["lr"] == 0.1
    fs.get(path, str(tmp_path / "copy"), recursive=True)
    assert (tmp_path / "copy" / "output.log").read_bytes() == b"one\ntwo\n"
    assert read(tmp_path / "copy" / "config.json")["lr"] == 0.1


def test_uploaded_files_hide_generated_ones_in_a_listing(backend: WandbBackend) -> None:
    path = backend.run(files={"config.json": b"mine", "output.log": b"mine"}, config=json.dumps(CONFIG))
    fs = WandbFileSystem(skip_instance_cache=True)

    assert fs.cat(fs.find(path)) == {f"{path}/config.json": b"mine", f"{path}/output.log": b"mine"}


NAMES = ("config.json", "run.json", "summary.json", "manifest.json")


@pytest.mark.parametrize("place", ["local", "memory://preserved"])
def test_foreign_files_are_preserved(backend: WandbBackend, tmp_path: Path, place: str) -> None:
    import fsspec

    path = backend.run(config=json.dumps(CONFIG))
    where = str(tmp_path) if place == "local" else place
    fs, root = fsspec.core.url_to_fs(where)
    for name in NAMES:
        fs.pipe_file(f"{root}/{name}", b"mine")

    first = download_run(path, where)
    second = download_run(path, where)

    assert len(first.preserved) == len(NAMES)
    assert {fs.cat_file(f"{root}/{copy}") for copy in first.preserved} == {b"mine"}
    assert all(fs.cat_file(f"{root}/{name}") != b"mine" for name in NAMES)
    assert second.preserved == ()


def test_edited_record_is_preserved_and_others_are_replaced(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run(summary={"x": 1}, ends=False)
    download_run(path, tmp_path)
    (tmp_path / "config.json").write_text("edited")
    backend.log("r", [], summary={"x": 2})

    result = download_run(path, tmp_path)
    other = download_run(backend.run("other", summary={"x": 3}), tmp_path)

    assert [name.partition(".")[0] for name in result.preserved] == ["config"]
    assert (tmp_path / result.preserved[0]).read_text() == "edited"
    assert read(tmp_path / "summary.json") == {"x": 3}
    assert other.preserved == ()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    with open_hostile_server(monkeypatch) as server:
        yield server


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"config": "{"}, "config.json"),
        ({"config": "[]"}, "config.json"),
        ({"config": '{"a": {"value": ' + "[" * 100_000 + "]" * 100_000 + "}}"}, "config.json"),
        ({"summaryMetrics": "{"}, "summary.json"),
        ({"summaryMetrics": "[" * 100_000 + "]" * 100_000}, "summary.json"),
        ({"logLineCount": 3}, "output.log"),
    ],
)
def test_invalid_records_are_reported_as_missing(
    server: HostileServer, tmp_path: Path, changes: dict[str, Any], name: str
) -> None:
    server.documents["Run"]["project"]["run"].update(changes)
    server.documents["RunConsoleLogPage"] = {"project": {"run": {"logLines": page({"line": "one"})}}}

    with pytest.raises(IncompleteDownloadError) as caught:
        download_run("e/p/r", tmp_path)

    assert isinstance(caught.value.result, RunDownload)
    assert name in {failure.name for failure in caught.value.result.failed}
    assert (tmp_path / "a.txt").exists()


def test_console_is_read_from_a_server_without_paging(server: HostileServer, tmp_path: Path) -> None:
    server.documents["Run"]["project"]["run"]["logLineCount"] = 2

    def respond(operation: str, variables: dict[str, Any]) -> object:
        if operation == "RunConsoleLogPage":
            return {"errors": [{"message": 'Unknown argument "useImprovedPagination" on field "logLines"'}]}
        if operation == "RunConsoleLogTail":
            assert variables["last"] == 2
            nodes = ({"line": "one"}, {"line": "two \ud800", "label": "rank1"})
            return {"data": {"project": {"run": {"logLines": page(*nodes)}}}}
        return {"data": server.documents[operation]}

    server.respond = respond

    download_run("e/p/r", tmp_path)

    assert (tmp_path / "output.log").read_text() == "one\n[rank1] two \\ud800\n"


def test_names_with_a_lone_surrogate_are_encoded(server: HostileServer, tmp_path: Path) -> None:
    node = {**file_node(server.url), "name": "a\ud800.txt"}
    server.documents["Run"]["project"]["run"]["files"] = page(node)

    first = download_run("e/p/r", tmp_path)
    second = download_run("e/p/r", tmp_path)

    assert [(file.name, file.state) for file in second.files if file.path.startswith("a")] == [("a\ud800.txt", "kept")]
    assert all(path.isascii() for path in (file.path for file in first.files))
    assert verify_download(tmp_path).is_good
