"""download_runs against a real server."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from wandb_artifacts import (
    DeadlineError,
    IncompleteDownloadError,
    InvalidValueError,
    NotFoundError,
    Progress,
    ProjectRef,
    RunsDownload,
    download_runs,
    verify_download,
)
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


class Requests:
    """Counts the requests since the last look."""

    def __init__(self, backend: WandbBackend) -> None:
        self._log = backend.server.requests
        self._before = self._now()

    def _now(self) -> tuple[int, int]:
        return self._log.count("graphql"), self._log.count("download")

    def made(self) -> tuple[int, int]:
        """GraphQL requests and file requests."""
        before, self._before = self._before, self._now()
        return self._before[0] - before[0], self._before[1] - before[1]


def name_of(backend: WandbBackend) -> str:
    return f"local/{backend.project}"


def index(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


def config(**values: object) -> str:
    return json.dumps({key: {"value": value} for key, value in values.items()})


def ids(result: RunsDownload) -> list[str]:
    return [run.run.id for run in result.runs]


def test_project_has_one_folder_per_run_and_an_index(project: WandbBackend, tmp_path: Path) -> None:
    """The order is that of creation, also over several pages; other projects are left out."""
    names = ["e", "d", "c", "b", "a"]
    given: dict[str, Any] = {"tags": ["x", "y"], "groupName": "g", "jobType": "train", "displayName": "Run"}
    for number, name in enumerate(names):
        project.run(name, files={"f": b"f", "g": b"g"}, rows=[{"x": 1}] * number, summary={"x": 1}, **given)
    project.run("a", config=config(lr=0.1, net={"depth": 3}))

    with use_options(pages=PageSizes(runs=2)):
        result = download_runs(name_of(project), tmp_path / "to", jobs=2)

    assert ids(result) == names
    assert (result.matched, result.files, result.new_files) == (5, 30, 30)
    assert result.bytes == sum(path.stat().st_size for path in (tmp_path / "to").glob("*/*")) - sum(
        path.stat().st_size for path in (tmp_path / "to").glob("*/manifest.json")
    )
    rows = index(tmp_path / "to")
    assert [(row["id"], row["path"], row["history_rows"]) for row in rows] == [
        (name, name, number) for number, name in enumerate(names)
    ]
    last = rows[-1]
    assert last.pop("created_at") <= last.pop("updated_at")
    assert last == {
        "id": "a",
        "name": "Run",
        "state": "finished",
        "user": "local",
        "tags": ["x", "y"],
        "group": "g",
        "job_type": "train",
        "sweep": None,
        "config": {"lr": 0.1, "net": {"depth": 3}},
        "summary": {"x": 1},
        "history_rows": 4,
        "path": "a",
    }
    manifest = json.loads((tmp_path / "to/manifest.json").read_text())
    assert (manifest["project"], manifest["folders"], manifest["is_complete"]) == (name_of(project), names, True)
    assert verify_download(tmp_path / "to").is_good
    assert not verify_download(tmp_path / "to").stale


def test_result_can_be_pickled_and_encoded(project: WandbBackend, tmp_path: Path) -> None:
    """It has no lists of files, because a project may have millions."""
    project.run("a", files={"f": b"f"})

    result = download_runs(name_of(project), tmp_path / "to")

    assert pickle.loads(pickle.dumps(result)) == result
    assert json.loads(json.dumps(result.to_dict()))["runs"][0]["run"]["id"] == "a"
    assert result.project == ProjectRef("local", project.project, project.server.url)
    assert result.runs[0].files == ()


def test_second_call_sends_one_request_per_page(project: WandbBackend, tmp_path: Path) -> None:
    """Ended and unchanged runs take no other request, even those with more files than a page of runs lists."""
    for number in range(5):
        project.run(f"r{number}", files={f"f{each}": b"f" for each in range(number)}, rows=[{"x": 1}])
    requests = Requests(project)

    with use_options(pages=PageSizes(runs=3, outlines=3, files_of_each=2)):
        download_runs(name_of(project), tmp_path)
        first, written = requests.made(), (tmp_path / "runs.jsonl").stat()
        result = download_runs(name_of(project), tmp_path)

    assert first == (2 + 5 + 2, 10)
    assert requests.made() == (2, 0)
    assert (result.matched, result.files, result.new_files) == (5, 30, 0)
    assert (tmp_path / "runs.jsonl").stat() == written


@pytest.mark.slow
def test_thousand_runs_take_ten_requests(project: WandbBackend, tmp_path: Path) -> None:
    project.runs(f"r{number:03}" for number in range(1000))
    requests = Requests(project)

    result = download_runs(name_of(project), tmp_path, dry_run=True)

    assert (result.matched, result.failed, requests.made()) == (1000, (), (10, 0))


def test_second_call_sends_fewer_requests(project: WandbBackend, tmp_path: Path) -> None:
    """Its pages are larger, because they have less of each run; no run is lost between two pages."""
    sizes = PageSizes()
    project.runs(f"r{number:03}" for number in range(100))
    requests = Requests(project)

    with use_options(pages=PageSizes(runs=sizes.runs // 10, outlines=sizes.outlines // 10)):
        result = download_runs(name_of(project), tmp_path, include_history=False)
        first = requests.made()
        again = download_runs(name_of(project), tmp_path, include_history=False)

    assert (result.matched, len(result.runs), len(index(tmp_path))) == (100, 100, 100)
    assert (again.matched, again.new_files, requests.made()) == (100, 0, (4, 0))
    assert first == (10, 0)


@pytest.mark.parametrize("change", ["file", "file_beyond_the_page", "row", "summary", "tag", "local"])
def test_changed_runs_are_downloaded_again(project: WandbBackend, tmp_path: Path, change: str) -> None:
    """The run may have changed at W&B or in the folder."""
    project.run("a", files={"f": b"1", "g": b"1", "h": b"1"}, rows=[{"x": 1}], summary={"x": 1})
    with use_options(pages=PageSizes(files_of_each=2)):
        download_runs(name_of(project), tmp_path)
        if change == "file":
            project.upload("a", {"f": b"2"})
        elif change == "file_beyond_the_page":
            project.upload("a", {"i": b"2"})
        elif change == "row":
            project.log("a", [{"x": 2}], offset=1)
        elif change == "summary":
            project.log("a", [], summary={"x": 2})
        elif change == "tag":
            project.run("a", tags=["new"])
        else:
            (tmp_path / "a/f").unlink()
        if change in ("row", "summary"):
            project.end("a")
        result = download_runs(name_of(project), tmp_path)

    assert result.new_files > 0
    assert verify_download(tmp_path).is_good
    expected: dict[str, Any] = {"f": b"2" if change == "file" else b"1"}
    expected |= {"i": b"2"} if change == "file_beyond_the_page" else {}
    assert {name: (tmp_path / "a" / name).read_bytes() for name in expected} == expected
    (row,) = index(tmp_path)
    assert row["history_rows"] == (2 if change == "row" else 1)
    assert row["summary"] == {"x": 2 if change == "summary" else 1}
    assert row["tags"] == (["new"] if change == "tag" else [])


def test_other_options_fetch_missing_files(project: WandbBackend, tmp_path: Path) -> None:
    """A run is not skipped if an earlier call has left out files or the history."""
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    project.run("a", files={"f": b"f", "g": b"g"}, rows=[{"x": 1}])

    download_runs(name_of(project), tmp_path, include="f", include_history=False)
    result = download_runs(name_of(project), tmp_path)
    parquet = download_runs(name_of(project), tmp_path, history_format="parquet")

    assert (result.new_files, result.files) == (2, 6)
    assert (tmp_path / "a/g").read_bytes() == b"g"
    assert (parquet.new_files, parquet.index_path) == (1, "runs.parquet")
    assert (tmp_path / "a/metrics_history.parquet").exists()


def test_running_runs_are_fetched_again(project: WandbBackend, tmp_path: Path) -> None:
    project.run("a", rows=[{"x": 1}], ends=False)

    first = download_runs(name_of(project), tmp_path)
    project.log("a", [{"x": 2}], offset=1)
    second = download_runs(name_of(project), tmp_path)

    assert first.is_live
    assert [result.runs[0].history_rows for result in (first, second)] == [1, 2]


SELECTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "all": ({}, ["a", "b", "c"]),
    "a tag": ({"tags": ["x"]}, ["a", "b"]),
    "any tag": ({"tags": ("x", "z")}, ["a", "b", "c"]),
    "state": ({"states": ["failed", "crashed"]}, ["c"]),
    "group": ({"group": "g"}, ["a"]),
    "job type": ({"job_type": "eval"}, ["b"]),
    "config": ({"filters": {"config.lr": {"$gt": 0.15}}}, ["b", "c"]),
    "summary": ({"filters": {"summary_metrics.loss": {"$lt": 2}}}, ["a", "b"]),
    "either": ({"filters": {"$or": [{"group": "g"}, {"state": "failed"}]}}, ["a", "c"]),
    "several": ({"filters": {"config.lr": {"$gt": 0.15}}, "tags": ["x"], "states": ["finished"]}, ["b"]),
    "since": ({"created_after": "2020-01-31"}, ["a", "b", "c"]),
    "before": ({"created_before": datetime(2020, 1, 31, tzinfo=timezone.utc)}, []),
    "between": ({"created_after": date(2020, 1, 31), "created_before": "2100-01-01T09:00Z"}, ["a", "b", "c"]),
    "limit": ({"limit": 2}, ["a", "b"]),
    "limit of a selection": ({"limit": 1, "filters": {"config.lr": {"$gt": 0.15}}}, ["b"]),
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_selection_limits_the_runs(project: WandbBackend, tmp_path: Path, selection: str) -> None:
    options, expected = SELECTIONS[selection]
    project.run("a", tags=["x"], groupName="g", config=config(lr=0.1), summary={"loss": 0})
    project.run("b", tags=["x", "y"], jobType="eval", config=config(lr=0.2), summary={"loss": 1})
    project.run("c", tags=["z"], config=config(lr=0.3), summary={"loss": 2}, ends=False)
    project.end("c", exit_code=1)

    with use_options(pages=PageSizes(runs=2)):
        result = download_runs(name_of(project), tmp_path, **options)

    assert ids(result) == [row["id"] for row in index(tmp_path)] == expected
    assert result.matched == len(expected)


def test_runs_of_another_selection_stay(project: WandbBackend, tmp_path: Path) -> None:
    """The index has the runs that match now; folders of others stay, and are verified too."""
    project.run("a", tags=["x"])
    project.run("b", tags=["y"])

    download_runs(name_of(project), tmp_path, tags=["x"])
    result = download_runs(name_of(project), tmp_path, tags=["y"])

    assert ([row["id"] for row in index(tmp_path)], result.stale) == (["b"], ("a",))
    (tmp_path / "a/config.json").write_text("changed")
    assert [lost.name for lost in verify_download(tmp_path).failed] == ["a/config.json"]


def test_dry_run_counts_and_downloads_nothing(project: WandbBackend, tmp_path: Path) -> None:
    for name in ("a", "b"):
        project.run(name, files={"f": b"12345", "g.pt": b"12", "h": b"1"}, rows=[{"x": 1}])
    requests = Requests(project)

    with use_options(pages=PageSizes(files_of_each=2)):
        result = download_runs(name_of(project), tmp_path / "to", dry_run=True, exclude="*.pt")

    assert (result.matched, result.files, result.bytes, result.dry_run) == (2, 4, 12, True)
    assert (result.runs, result.index_path, requests.made()) == ((), None, (3, 0))
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_empty_project_is_complete(project: WandbBackend, tmp_path: Path, form: Any) -> None:
    """Its index is empty."""
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    project.run("a")
    project.delete_run("a")

    result = download_runs(name_of(project), tmp_path, history_format=form)

    assert (result.matched, result.runs) == (0, ())
    assert (tmp_path / str(result.index_path)).exists()
    assert verify_download(tmp_path).is_good


def test_one_failing_file_does_not_stop_the_others(project: WandbBackend, tmp_path: Path) -> None:
    """The error names the run and the file; the next call fetches the missing file."""
    for name in ("a", "b"):
        project.run(name, files={"f": b"f", f"only-{name}": b"x"})
    project.server.faults.add(Fault("download", target="only-b", status=404, count=None))

    with pytest.raises(IncompleteDownloadError, match="b/only-b") as caught:
        download_runs(name_of(project), tmp_path)

    result = pickle.loads(pickle.dumps(caught.value)).result
    assert isinstance(result, RunsDownload)
    assert [[lost.name for lost in run.failed] for run in result.runs] == [[], ["only-b"]]
    assert [row["id"] for row in index(tmp_path)] == ["a", "b"]
    assert not verify_download(tmp_path).is_good

    project.server.faults.clear()
    assert download_runs(name_of(project), tmp_path).new_files == 1
    assert verify_download(tmp_path).is_good


@pytest.mark.parametrize("files", [{"f": b"f"}, {f"f{number}": b"f" for number in range(4)}, {}])
def test_run_deleted_meanwhile_is_reported(project: WandbBackend, tmp_path: Path, files: dict[str, bytes]) -> None:
    """The rest does not fail."""
    for name in ("a", "b", "c"):
        project.run(name, files={"f": b"f"} if name == "a" else files, rows=[{"x": 1}])

    def delete(moment: Progress) -> None:
        if (moment.run.id, moment.name, moment.state) == ("a", "f", "done"):
            project.delete_run("b")

    with (
        use_options(pages=PageSizes(files_of_each=2)),
        pytest.raises(IncompleteDownloadError, match=r"b: was deleted at W&B") as caught,
    ):
        download_runs(name_of(project), tmp_path, progress=delete, jobs=1)

    result = caught.value.result
    assert isinstance(result, RunsDownload)
    assert (ids(result), [lost.name for lost in result.failed], result.matched) == (["a", "c"], ["b"], 3)
    assert ids(download_runs(name_of(project), tmp_path)) == ["a", "c"]


def test_pages_are_requested_while_runs_download(project: WandbBackend, tmp_path: Path) -> None:
    """The last page is requested before the first run is complete."""
    for number in range(6):
        project.run(f"r{number}", files={"first" if number == 0 else "f": b"f"})
    project.server.faults.add(Fault("download", target="first", delay=60.0))
    before = project.server.requests.count("graphql", "Runs")
    last_page = threading.Thread(
        target=lambda: project.server.requests.wait("graphql", "Runs", count=before + 3), daemon=True
    )
    last_page.start()

    async def main() -> None:
        with use_options(pages=PageSizes(runs=2)):
            work = asyncio.ensure_future(download_runs.aio(name_of(project), tmp_path, jobs=2))
            await asyncio.to_thread(last_page.join, 30)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(main())

    assert not last_page.is_alive()
    assert not (tmp_path / "r0/manifest.json").exists()


def test_interrupted_download_is_resumed(project: WandbBackend, tmp_path: Path) -> None:
    """The next call fetches only incomplete runs."""
    for number in range(4):
        project.run(f"r{number}", files={f"f{number}": b"f"}, rows=[{"x": 1}])

    async def interrupt_at(fault: Fault) -> None:
        work = asyncio.ensure_future(download_runs.aio(name_of(project), tmp_path, jobs=1))
        await asyncio.to_thread(project.server.faults.wait, fault)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    for number in (2, 3):
        asyncio.run(interrupt_at(project.server.faults.add(Fault("download", target=f"f{number}", delay=60.0))))
        project.server.faults.clear()
    assert not json.loads((tmp_path / "manifest.json").read_text())["is_complete"]
    requests = Requests(project)
    result = download_runs(name_of(project), tmp_path)

    assert [(tmp_path / f"r{number}/f{number}").read_bytes() for number in range(4)] == [b"f"] * 4
    assert (result.matched, requests.made()[1]) == (4, 1)


def test_deadline_keeps_downloaded_files(project: WandbBackend, tmp_path: Path) -> None:
    project.run("a", files={"f": b"f"})
    project.server.faults.add(Fault("download", target="f", delay=60.0))

    with pytest.raises(DeadlineError, match="call again to resume"):
        download_runs(name_of(project), tmp_path, deadline=0.5)

    project.server.faults.clear()
    assert download_runs(name_of(project), tmp_path).matched == 1


def test_rate_limit_fails_nothing(project: WandbBackend, tmp_path: Path) -> None:
    """A request is repeated as long as W&B serves others: three requests in eight are refused here."""
    for number in range(8):
        project.run(f"r{number}", files={"f": b"f", "g": b"g"}, rows=[{"x": 1}])
    refusal = Fault("download", status=429, headers={"Retry-After": "0"}, count=40)
    project.server.faults.add(refusal)

    with use_options(retry=RetryPolicy(first_wait=0.01, longest_wait=0.01, attempts=8)):
        result = download_runs(name_of(project), tmp_path)

    assert (result.matched, project.server.faults.fired(refusal)) == (8, 40)


def test_ids_that_differ_in_case_have_two_folders(project: WandbBackend, tmp_path: Path) -> None:
    """The folders differ on file systems that ignore case too."""
    for name in ("Abc", "abc"):
        project.run(name, files={"f": name.encode()}, tags=[name])

    both = download_runs(name_of(project), tmp_path)
    one = download_runs(name_of(project), tmp_path, tags=["abc"])

    folders = [row["path"] for row in index(tmp_path)]
    assert [run.destination for run in one.runs] == [both.runs[1].destination]
    assert folders[0] != "abc"
    assert (tmp_path / folders[0] / "f").read_bytes() == b"abc"
    assert (tmp_path / "Abc/f").read_bytes() == b"Abc"


def test_own_files_of_the_user_are_preserved(project: WandbBackend, tmp_path: Path) -> None:
    """A file that no download wrote is copied before the index or the manifest replaces it."""
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    project.run("a")
    (tmp_path / "runs.jsonl").write_text("mine")
    (tmp_path / "manifest.json").write_text("mine too")

    result = download_runs(name_of(project), tmp_path)
    others = [download_runs(name_of(project), tmp_path, history_format=form) for form in ("parquet", "jsonl", "json")]

    assert sorted((tmp_path / name).read_text() for name in result.preserved) == ["mine", "mine too"]
    assert [other.preserved for other in others] == [(), (), ()]


def test_runs_are_downloaded_to_a_remote_destination(project: WandbBackend) -> None:
    project.run("a", files={"f": b"f"})
    memory = fsspec.filesystem("memory")

    download_runs(name_of(project), "memory://bucket/to")
    result = download_runs(name_of(project), "memory://bucket/to")

    assert memory.cat_file("/bucket/to/a/f") == b"f"
    assert json.loads(memory.cat_file("/bucket/to/runs.jsonl"))["path"] == "a"
    assert result.new_files == 0
    memory.store.clear()


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "an artifact": ({"project": "local/p/model:v1"}, "is not a project but an artifact"),
    "a run": ({"project": "local/p/abc"}, "is not a project but a run or sweep of one. For the project, "),
    "a page of a run": ({"project": "https://wandb.ai/local/p/runs/abc"}, "use download_run"),
    "a page of an artifact": ({"project": "https://wandb.ai/local/p/artifacts/model/m/v1"}, "an artifact"),
    "no entity": ({"project": "p"}, "has no entity"),
    "no project": ({"project": 5}, "must be a ProjectRef"),
    "a list as filters": ({"filters": ["state"]}, "filters=.*must be a dictionary"),
    "filters without JSON": ({"filters": {"config.x": {1, 2}}}, "filters=.*cannot be encoded as JSON"),
    "not a date": ({"created_after": "yesterday"}, "created_after='yesterday': must be an ISO 8601"),
    "a number as date": ({"created_before": 2026}, "created_before=2026: must be an ISO 8601"),
    "dates in reverse": (
        {"created_after": "2026-02-01", "created_before": "2026-01-01"},
        "created_after='2026-02-01': is later than created_before='2026-01-01'",
    ),
    "limit 0": ({"limit": 0}, "limit=0: must be 1 or more"),
    "a negative limit": ({"limit": -1}, "limit=-1: must be 1 or more"),
    "unknown state": ({"states": ["finished", "done"]}, "states='done': is not a state of a run; use crashed"),
    "text as tags": ({"tags": "paper"}, r"tags='paper': must be a list of strings, such as \['paper'\]"),
    "text as states": ({"states": "finished"}, "states='finished': must be a list"),
    "an empty tag": ({"tags": ["a", ""]}, "tags='': must be a string that is not empty"),
    "no tag": ({"tags": []}, r"tags=\[\]: must not be empty; pass None for all"),
    "a date before year 1": ({"created_after": "0001-01-01T00:00+14:00"}, "created_after=.*is out of range; use"),
    "empty group": ({"group": ""}, "group='': must be a string that is not empty"),
    "destination": ({"destination": "s3:bucket"}, "destination='s3:bucket'"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_input_is_refused_before_any_request(project: WandbBackend, tmp_path: Path, case: str) -> None:
    given, message = INVALID[case]
    requests = Requests(project)

    with pytest.raises(InvalidValueError, match=message):
        download_runs(**{"project": name_of(project), "destination": tmp_path / "to", **given})

    assert requests.made() == (0, 0)
    assert not (tmp_path / "to").exists()


def test_filters_that_the_server_refuses_are_quoted(project: WandbBackend, tmp_path: Path) -> None:
    project.run("a")

    with pytest.raises(InvalidValueError, match=r"filters=.*W&B refused the request .*'colour'"):
        download_runs(name_of(project), tmp_path / "to", filters={"colour": "red"})

    assert not (tmp_path / "to").exists()


def test_unknown_project_raises(project: WandbBackend, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="project local/nosuch: not found"):
        download_runs("local/nosuch", tmp_path / "to")

    assert not (tmp_path / "to").exists()


def test_progress_counts_end_complete(project: WandbBackend, tmp_path: Path) -> None:
    """All known files and bytes are done; the same on a call that fetches nothing."""
    for name in ("a", "b"):
        project.run(name, files={"f": b"12345"}, rows=[{"x": 1}])
    for _ in range(2):
        seen: list[Progress] = []
        download_runs(name_of(project), tmp_path, progress=seen.append)

        last = seen[-1]
        assert (last.files_done, last.bytes_done) == (last.files_known, last.bytes_known) == (4, 10)
