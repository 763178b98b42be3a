"""History from W&B's Parquet exports: the same rows as by pages, and pages where an export cannot be read."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import RunRef, download_run, download_sweep
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_artifacts._destination.local import LocalTarget
from wandb_artifacts._download.results import HistoryFormat
from wandb_artifacts._history.exports import RunExports
from wandb_devserver import Fault

from tests.wandb_artifacts.signed_url_proxy import SignedUrlProxy
from tests.wandb_artifacts.wandb_backend import open_backend

if TYPE_CHECKING:
    from tests.wandb_artifacts.wandb_backend import WandbBackend

pa = pytest.importorskip("pyarrow", reason="exports need pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FORMATS: tuple[HistoryFormat, ...] = ("json", "jsonl", "parquet")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbBackend]:
    """One server for all tests; the runs of each have other names."""
    with pytest.MonkeyPatch.context() as patch, open_backend(patch, tmp_path_factory.mktemp("wandb")) as backend:
        yield backend


@pytest.fixture(autouse=True)
def use_exports(backend: WandbBackend, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG, logger="wandb_artifacts")
    with use_options(pages_small_history=False, retry=RetryPolicy(first_wait=0.01, attempts=3), history_pauses=(0,)):
        yield
    backend.server.faults.clear()


@pytest.fixture
def run(backend: WandbBackend, request: pytest.FixtureRequest) -> str:
    """The name of the test's run."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[:100]


def served(backend: WandbBackend, work: Callable[[], object]) -> tuple[int, int, int]:
    """How many requests for pages, for exports and for files a piece of work makes."""
    kinds = (("graphql", "HistoryPage"), ("graphql", "RunParquetHistory"), ("download", None))
    before = [backend.server.requests.count(kind, operation) for kind, operation in kinds]  # type: ignore[arg-type]
    work()
    after = [backend.server.requests.count(kind, operation) for kind, operation in kinds]  # type: ignore[arg-type]
    pages, exports, files = (new - old for new, old in zip(after, before, strict=True))
    return pages, exports, files


def fetch(backend: WandbBackend, run: str, folder: Path, form: HistoryFormat = "jsonl") -> list[Row]:
    """The rows of a downloaded history."""
    result = download_run(backend.path(run), folder, history_format=form)
    assert result.history_path
    rows = read(folder / result.history_path)
    assert result.history_rows == len(rows)
    return rows


def read(file: Path) -> list[Row]:
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()  # type: ignore[no-any-return]
    lines = file.read_text().split("\n")[:-1]
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in lines]
    rows: list[Row] = json.loads("".join(lines))
    assert len(lines) == len(rows) + 2
    return rows


def steps(rows: list[Row]) -> list[int]:
    return [row["_step"] for row in rows]


def notes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "wandb_artifacts"]


VALUES: dict[str, list[object]] = {
    "integers": [2**53 + 1, -(2**63), 2**63 - 1],
    "floats": [0.1, 1e300, -5e-324, 1e22, 1e-7, -0.0],
    "whole floats": [1.0, 2.5],
    "integers and floats": [1, 0.5],
    "booleans": [True, False],
    "strings": ['quote " \\ slash', "é 🎉 \u2028", "line\nbreak\ttab\x01", ""],
    "not finite": [math.nan, math.inf, -math.inf, 1.5],
    "only NaN": [math.nan],
    "NaN as text": ["NaN", "Infinity", "text"],
    "lists": [[1, 2], [], [3]],
    "lists with NaN": [[0.5, math.nan]],
    "nested lists": [[["x"], ["y", "z"]]],
    "objects": [{"_type": "histogram", "bins": [0.0, 1.5], "values": [3]}],
    "objects with different keys": [{"x": 1}, {"y": {"z": "deep"}}],
    'odd "names" é.': [1],
    "": [1],
    "many": list(range(500)),
}
"""Values of each key in the first rows; the others lack it."""
ROWS = [{key: column[index] for key, column in VALUES.items() if index < len(column)} for index in range(500)]
CHANGES: list[Row] = [{"a": 1}, {"a": "two"}, {"a": [3]}, {"a": 2**60}, {"a": 0.25}, {"b": 1}]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("rows", "files"), [(ROWS, 3), (CHANGES, 5)], ids=["types", "changes"])
def test_exports_and_pages_have_the_same_values(
    backend: WandbBackend, run: str, tmp_path: Path, rows: list[Row], files: int, form: HistoryFormat
) -> None:
    """In every format; then no page is requested."""
    backend.run(run, rows=rows)
    by_pages = fetch(backend, run, tmp_path / "pages", form)
    assert backend.server.export_history(backend.path(run), rows_per_file=200) == len(rows)
    found: list[Row] = []

    requests = served(backend, lambda: found.extend(fetch(backend, run, tmp_path / "exports", form)))

    for key in by_pages[0]:
        assert [typed(row.get(key, "absent")) for row in found] == [typed(row.get(key, "absent")) for row in by_pages]
    assert found == by_pages
    assert requests == (0, 1, files)


def typed(value: object) -> tuple[object, ...]:
    """A value that differs from one of another type: True from 1, an integer that no double holds from a double."""
    return isinstance(value, bool), isinstance(value, int) and abs(value) > 2**53, value


@pytest.mark.parametrize("form", FORMATS)
def test_live_rows_follow_exported_ones(backend: WandbBackend, run: str, tmp_path: Path, form: HistoryFormat) -> None:
    """Each row is returned once. Pages are requested from the first live step on."""
    rows = [{"a": step, **({"late": "text"} if step > 25 else {})} for step in range(30)]
    backend.run(run, rows=rows)
    by_pages = fetch(backend, run, tmp_path / "pages", form)
    backend.server.export_history(backend.path(run), rows=20, rows_per_file=7)
    found: list[Row] = []

    requests = served(backend, lambda: found.extend(fetch(backend, run, tmp_path / "exports", form)))

    assert steps(found) == list(range(30))
    assert found == by_pages
    assert requests == (1, 1, 3)


def test_late_rows_with_earlier_steps_are_not_lost(backend: WandbBackend, run: str, tmp_path: Path) -> None:
    """Exported rows from their step on come from the pages, in order."""
    backend.run(run, rows=[{"a": step} for step in range(10)], ends=False)
    backend.server.export_history(backend.path(run))
    backend.log(run, ['{"_step": 4, "late": true}', '{"_step": 12, "a": 12}'], offset=10)
    backend.end(run)

    rows = fetch(backend, run, tmp_path)

    assert steps(rows) == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 12]
    assert {"_step": 4, "late": True} in rows


@pytest.mark.parametrize("form", FORMATS)
def test_files_with_overlapping_steps_are_merged(
    backend: WandbBackend, run: str, tmp_path: Path, form: HistoryFormat
) -> None:
    """As runs with several writers have them."""
    order = [*range(0, 40, 2), *range(1, 40, 2)]
    backend.run(run, rows=[{"_step": step, "a": step / 3} for step in order])
    backend.server.export_history(backend.path(run), rows_per_file=9)

    rows = fetch(backend, run, tmp_path, form)

    assert rows == [{"_step": step, "a": step / 3} for step in range(40)]


def test_history_that_fits_a_page_needs_no_request_for_exports(backend: WandbBackend, run: str, tmp_path: Path) -> None:
    """A small run takes one request."""
    backend.run(run, rows=[{"a": 1}] * 3)
    backend.server.export_history(backend.path(run))
    with use_options(pages_small_history=True):
        assert served(backend, lambda: fetch(backend, run, tmp_path)) == (1, 0, 0)


def test_second_download_fetches_nothing(backend: WandbBackend, run: str, tmp_path: Path) -> None:
    backend.run(run, rows=[{"a": 1}] * 3)
    backend.server.export_history(backend.path(run))
    first = fetch(backend, run, tmp_path)
    assert served(backend, lambda: fetch(backend, run, tmp_path)) == (0, 0, 0)
    assert read(tmp_path / "metrics_history.jsonl") == first
    assert not (tmp_path / ".wandb-artifacts").exists()


FAULTS = {
    "expired permanently": Fault("download", target="0.parquet", status=403, count=None),
    "gone": Fault("download", target="0.parquet", status=404, count=None),
    "corrupt": Fault("download", target="0.parquet", wrong_bytes=True, count=None),
    "cut short": Fault("download", target="0.parquet", truncate_to=500, count=None),
    "object store down": Fault("download", target="0.parquet", status=503, count=None),
    "refused by GraphQL": Fault(
        "graphql", operation="RunParquetHistory", status=200, body='{"errors": [{"message": "no exports today"}]}'
    ),
    "invalid response": Fault("graphql", operation="RunParquetHistory", status=200, body='{"data": {"project": 1}}'),
}


@pytest.mark.parametrize("name", FAULTS)
def test_unreadable_exports_fall_back_to_pages(
    backend: WandbBackend, run: str, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All rows are returned, and one log line has the reason."""
    backend.run(run, rows=[{"a": step} for step in range(20)])
    backend.server.export_history(backend.path(run), rows_per_file=10)
    backend.server.faults.add(FAULTS[name])

    assert steps(fetch(backend, run, tmp_path)) == list(range(20))

    assert len(notes(caplog)) == 1
    assert f"The exported history of run {backend.path(run)} is read by pages instead" in notes(caplog)[0]
    assert "signature" not in caplog.text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["damaged", "unknown type", "unordered", "rows missing"])
def test_rows_of_an_unreadable_export_are_replaced(
    backend: WandbBackend, run: str, tmp_path: Path, form: HistoryFormat, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The first file may have been copied already."""
    backend.run(run, rows=[{"a": step, "b": f"{step * 7919 % 1009:x}"} for step in range(4000)])
    blobs = backend.server.data_dir / "blobs"
    known = set(blobs.glob("??/*"))
    backend.server.export_history(backend.path(run), rows_per_file=2000)
    last = max(set(blobs.glob("??/*")) - known, key=lambda blob: pq.read_table(blob)["_step"][0].as_py())
    spoil(last, kind)

    rows = fetch(backend, run, tmp_path, form)

    assert steps(rows) == list(range(4000))
    assert rows[-1]["a"] == 3999
    assert len(notes(caplog)) == 1


def spoil(file: Path, kind: str) -> None:
    """Replace a Parquet file by one that W&B's own reader could not read."""
    table = pq.read_table(file)
    if kind == "damaged":
        group = pq.ParquetFile(file).metadata.row_group(0).column(1)
        data = bytearray(file.read_bytes())
        begin = group.data_page_offset
        data[begin : begin + group.total_compressed_size] = b"?" * group.total_compressed_size
        file.write_bytes(data)
    elif kind == "unknown type":
        dates = pa.array([0] * len(table), pa.date32())
        pq.write_table(table.append_column("date", dates), file)
    elif kind == "rows missing":
        pq.write_table(table.slice(0, len(table) - 1), file)
    else:
        pq.write_table(table.take(list(reversed(range(len(table))))), file)


TRANSIENT = {
    "expired once": (Fault("download", target="0.parquet", status=403), 2),
    "refused by Google once": (Fault("download", target="0.parquet", status=400), 2),
    "unavailable": (Fault("download", target="0.parquet", status=503), 1),
    "rate limit": (Fault("download", target="0.parquet", status=429, headers={"Retry-After": "0"}), 1),
    "dropped": (Fault("download", target="0.parquet", drop=True), 1),
    "broke off": (Fault("download", target="0.parquet", drop_after=700), 1),
    "GraphQL unavailable": (Fault("graphql", operation="RunParquetHistory", status=502), 2),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_transient_faults_are_retried(
    backend: WandbBackend, run: str, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No page is requested. An expired URL is renewed once."""
    rows = [{"a": step, "text": f"{step * 7919 % 1009:x}"} for step in range(300)]
    backend.run(run, rows=rows)
    backend.server.export_history(backend.path(run))
    fault, requests = TRANSIENT[name]
    backend.server.faults.add(fault)

    found = served(backend, lambda: fetch(backend, run, tmp_path))

    assert found == (0, requests, 1 if "GraphQL" in name else 2)
    assert steps(read(tmp_path / "metrics_history.jsonl")) == list(range(300))
    assert notes(caplog) == []
    assert backend.server.faults.fired(fault) == 1


def test_expired_urls_are_renewed_by_one_request(backend: WandbBackend, run: str, tmp_path: Path) -> None:
    backend.run(run, rows=[{"a": step} for step in range(20)])
    backend.server.export_history(backend.path(run), rows_per_file=5)
    for first in (0, 5, 10, 15):
        backend.server.faults.add(Fault("download", target=f"{first}.parquet", status=403))

    assert served(backend, lambda: fetch(backend, run, tmp_path)) == (0, 2, 8)


def test_server_without_exports_gets_one_request_for_them(backend: WandbBackend, run: str, tmp_path: Path) -> None:
    """A sweep of several runs makes one request that the old server refuses."""
    sweep = backend.sweep([f"{run}-{number}" for number in range(3)], rows=[{"a": 1}, {"a": 2}])
    body = json.dumps({"errors": [{"message": 'Cannot query field "parquetHistory" on type "Run".'}]})
    fault = Fault("graphql", operation="RunParquetHistory", status=400, body=body, count=None)
    backend.server.faults.add(fault)

    pages, exports, _ = served(backend, lambda: download_sweep(sweep, tmp_path))

    assert (pages, exports) == (3, 1)


def test_pages_are_read_without_pyarrow(
    backend: WandbBackend, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is requested that could not be read."""
    backend.run(run, rows=[{"a": 1}])
    backend.server.export_history(backend.path(run))
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert served(backend, lambda: fetch(backend, run, tmp_path)) == (1, 0, 0)
    assert "pip install 'wandb-artifacts[parquet]'" in notes(caplog)[0]


@pytest.mark.parametrize("redirects", [False, True], ids=["other host", "own host"])
def test_exports_are_requested_without_the_key(
    backend: WandbBackend, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redirects: bool
) -> None:
    """Their signature is enough, and an object store refuses a request with two."""
    backend.run(run, rows=[{"a": 1}])
    backend.server.export_history(backend.path(run))
    with SignedUrlProxy(backend.server, redirects=redirects) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        assert len(fetch(backend, run, tmp_path)) == 1

    to_w_and_b = [headers for headers in proxy.api_headers if "Content-Type" not in headers]
    assert len(proxy.storage_headers) == 1
    assert len(to_w_and_b) == redirects
    for headers in [*proxy.storage_headers, *to_w_and_b]:
        assert not {"authorization", "cookie"} & {name.lower() for name in headers}


@pytest.mark.parametrize("changes", [False, True])
def test_interrupted_download_is_resumed(backend: WandbBackend, run: str, tmp_path: Path, changes: bool) -> None:
    """The rest of a file is fetched, unless W&B has replaced the file."""
    backend.run(run, rows=[{"a": step} for step in range(50)])
    known = set((backend.server.data_dir / "blobs").glob("??/*"))
    backend.server.export_history(backend.path(run))
    (blob,) = set((backend.server.data_dir / "blobs").glob("??/*")) - known

    async def open_exports(read: Callable[[bytes], None]) -> None:
        async with await Api.open(None, jobs=2) as api:
            exports = RunExports(api, RunRef.parse(backend.path(run)), LocalTarget(tmp_path), "history")
            async with exports.open() as fetched:
                assert fetched
                read(fetched.files[0].read())

    def interrupt(_: bytes) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        asyncio.run(open_exports(interrupt))
    (part,) = (tmp_path / ".wandb-artifacts").glob("*.part")
    # Only a part that is continued keeps this mark.
    part.write_bytes(b"MARK" + part.read_bytes()[4:100])
    if changes:
        os.utime(blob, (1, 1))

    seen: list[bytes] = []
    asyncio.run(open_exports(seen.append))

    assert seen == [blob.read_bytes() if changes else b"MARK" + blob.read_bytes()[4:]]
    assert [left == part for left in (tmp_path / ".wandb-artifacts").glob("*.part")] == [True] * changes
