"""History exported to Parquet: reading by the SDK, signed URLs, exports of changed rows."""

from __future__ import annotations

import io
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import wandb
from packaging.version import Version
from wandb_devserver import DevServer, Fault, NotFoundError, UsageError

from tests.support import loopback
from tests.wandb_devserver.support import RawClient, Scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

pq = pytest.importorskip("pyarrow.parquet", reason="exports need pyarrow")

EXPORTS = """query RunParquetHistory($run: String!, $keys: [String!]!) {
  project(name: "p", entityName: "local") {
    run(name: $run) { parquetHistory(liveKeys: $keys) { parquetUrls liveData } }
  }
}"""
DELETE = "mutation D($input: DeleteRunInput!) { deleteRun(input: $input) { clientMutationId } }"
READ = """
run = wandb.Api().run("local/p/" + os.environ["RUN"])
try:
    result = run.download_history_exports("exports", require_complete_history=True)
except wandb.apis.public.IncompleteRunHistoryError as error:
    complete = False
    result = run.download_history_exports("partial", require_complete_history=False)
else:
    complete = True
report({
    # SDK 0.31 returns a row twice if its page has exported and live rows: pages end where the exports end.
    "all": list(run.scan_history(page_size=8)),
    "keys": list(run.scan_history(keys=["loss", "epoch"], page_size=8)),
    "paths": len(result.paths),
    "complete": complete,
})
"""


@pytest.fixture(scope="module")
def exporting() -> Iterator[DevServer]:
    with DevServer(export_after=5) as server:
        yield server


@pytest.fixture
def exporter(exporting: DevServer) -> Iterator[RawClient]:
    with RawClient(exporting) as client:
        yield client


def exports_of(raw: RawClient, run: str, *keys: str) -> tuple[list[str], list[dict[str, Any]]]:
    data = raw.data(EXPORTS, run=run, keys=["_step", *keys])
    found = data["project"]["run"]["parquetHistory"]
    return found["parquetUrls"], found["liveData"]


def fetch(url: str) -> list[dict[str, Any]]:
    response = loopback.get(url)
    response.raise_for_status()
    return list(map(without_nulls, pq.read_table(io.BytesIO(response.content)).to_pylist()))


def without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the keys that it did not log; the SDK returns them as None."""
    return {key: value for key, value in row.items() if value is not None}


def exported_rows(raw: RawClient, run: str) -> list[dict[str, Any]]:
    return sorted((row for url in exports_of(raw, run)[0] for row in fetch(url)), key=lambda row: row["_step"])


def stream(raw: RawClient, run: str, rows: list[dict[str, Any]], offset: int = 0, *, ends: bool = False) -> None:
    raw.open_run(run)
    rows = [{"_step": offset + index, **row} for index, row in enumerate(rows)]
    raw.stream_rows(*rows, offset=offset, run=f"local/p/{run}")
    if ends:
        raw.stream({"complete": True, "exitcode": 0}, f"local/p/{run}")


@pytest.mark.slow
@pytest.mark.skipif(Version(wandb.__version__) < Version("0.27.1"), reason="this SDK reads no exports")
@pytest.mark.parametrize("live", [0, 4])
def test_sdk_reads_exported_and_live_rows(exporter: RawClient, tmp_path: Any, live: int) -> None:
    """Each row is returned once and in order, by keys and whole; exports can be downloaded as files."""
    rows: list[dict[str, Any]] = [
        {"loss": 1 / (step + 1), "name": f"é{step}", "image": {"_type": "image-file", "size": step}, "ok": True}
        for step in range(20)
    ]
    rows[3]["epoch"] = rows[17]["epoch"] = 7
    run = f"read-{live}"
    stream(exporter, run, rows)
    if not live:
        exporter.stream({"complete": True, "exitcode": 0}, f"local/p/{run}")
    else:
        exporter.server.export_history(f"local/p/{run}", 20 - live, rows_per_file=9)

    seen = Scripts(exporter.server, tmp_path).run(READ, RUN=run)

    assert list(map(without_nulls, seen["all"])) == [{"_step": step, **row} for step, row in enumerate(rows)]
    by_keys = {row["_step"]: row for row in map(without_nulls, seen["keys"])}
    assert by_keys[3] == {"_step": 3, "loss": rows[3]["loss"], "epoch": 7}
    assert by_keys[17] == {"_step": 17, "loss": rows[17]["loss"], "epoch": 7}
    assert (seen["paths"], seen["complete"]) == ((2, False) if live else (1, True))


def test_rows_before_the_last_n_are_exported(exporter: RawClient) -> None:
    """A running run has live rows; an ended run has only exported ones."""
    stream(exporter, "old", [{"a": step} for step in range(12)])
    urls, live = exports_of(exporter, "old")
    assert [row["_step"] for url in urls for row in fetch(url)] == list(range(7))
    assert live == [{"_step": step} for step in range(7, 12)]

    stream(exporter, "old", [{"a": 12}], offset=12, ends=True)
    assert exported_rows(exporter, "old") == [{"_step": step, "a": step} for step in range(13)]
    assert exports_of(exporter, "old")[1] == []


def test_live_data_has_the_requested_keys(exporter: RawClient) -> None:
    """A key that a row lacks is absent."""
    stream(exporter, "live", [{"a": 1, "b": 2}, {"b": 3}])
    assert exports_of(exporter, "live", "a") == ([], [{"_step": 0, "a": 1}, {"_step": 1}])


def test_nothing_is_exported_by_default(server: DevServer, raw: RawClient) -> None:
    """All rows are reachable by pages only, until a test exports some."""
    stream(raw, "r", [{"a": 1}, {"a": 2}], ends=True)
    assert exports_of(raw, "r") == ([], [])

    assert server.export_history("local/p/r", rows=1) == 1
    urls, live = exports_of(raw, "r")
    assert [row for url in urls for row in fetch(url)] == [{"_step": 0, "a": 1}]
    assert live == [{"_step": 1}]


def test_export_urls_need_no_key_and_serve_ranges(exporter: RawClient) -> None:
    """HEAD requests return the size; a changed URL is refused."""
    stream(exporter, "url", [{"a": 1}], ends=True)
    (url,) = exports_of(exporter, "url")[0]
    whole = loopback.get(url).content

    assert loopback.get(url, headers={"Range": "bytes=4-9"}).content == whole[4:10]
    assert httpx.head(url).headers["Content-Length"] == str(len(whole))
    assert loopback.get(url.partition("?")[0]).status_code == 403
    assert loopback.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403


def test_expired_export_url_is_refused(exporter: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new request gives valid ones."""
    stream(exporter, "expires", [{"a": 1}], ends=True)
    monkeypatch.setattr("wandb_devserver._http.links.DOWNLOAD_LIFETIME", -2.0)
    (expired,) = exports_of(exporter, "expires")[0]
    assert loopback.get(expired).status_code == 403
    assert "expired" in loopback.get(expired).text

    monkeypatch.undo()
    (valid,) = exports_of(exporter, "expires")[0]
    assert loopback.get(valid).status_code == 200
    assert valid.partition("?")[0] == expired.partition("?")[0]


VALUES: dict[str, Any] = {
    "integer": 2**62 + 1,
    "negative": -(2**63),
    "float": 0.1,
    "bool": False,
    "text": 'quote " and \\ and \n é 🎉',
    "list": [1.5, 2.5],
    "nested list": [[1], [2, 3]],
    "object": {"_type": "histogram", "bins": [0.0, 1.0], "values": [3]},
}


@pytest.mark.parametrize("key", VALUES)
def test_values_are_exported_unchanged(exporter: RawClient, key: str) -> None:
    """Each key has a column of its type; a row without the key has null there."""
    run = f"value-{key.replace(' ', '-')}"
    stream(exporter, run, [{key: VALUES[key]}, {"other": 1}], ends=True)
    assert exported_rows(exporter, run) == [{"_step": 0, key: VALUES[key]}, {"_step": 1, "other": 1}]


def test_non_finite_numbers_are_exported_as_floats(exporter: RawClient) -> None:
    """Integers of the same column become floats too."""
    stream(exporter, "nan", [{"a": 1}, {"a": math.nan}, {"a": math.inf}], ends=True)
    one, nan, infinity = (row["a"] for row in exported_rows(exporter, "nan"))
    assert (one, infinity) == (1.0, math.inf)
    assert math.isnan(nan)


def test_type_change_begins_a_new_file(exporter: RawClient) -> None:
    """No value is changed to fit a column."""
    rows: list[dict[str, Any]] = [{"a": 1}, {"a": 2}, {"a": "three"}, {"a": [4]}, {"a": 2**60}, {"a": 0.5}]
    stream(exporter, "types", rows, ends=True)
    urls, live = exports_of(exporter, "types")

    assert (len(urls), live) == (5, [])
    assert exported_rows(exporter, "types") == [{"_step": step, **row} for step, row in enumerate(rows)]


def test_value_without_a_column_type_stays_live(exporter: RawClient) -> None:
    """Pages have its row and the rows after it."""
    stream(exporter, "mixed", [{"a": 1}, {"a": [1, "two"]}, {"a": 3}], ends=True)
    urls, live = exports_of(exporter, "mixed")

    assert [row for url in urls for row in fetch(url)] == [{"_step": 0, "a": 1}]
    assert live == [{"_step": 1}, {"_step": 2}]
    assert exporter.server.export_history("local/p/mixed") == 1


def test_export_urls_are_unordered(exporter: RawClient) -> None:
    """W&B's are not ordered either: a client must read the steps."""
    stream(exporter, "order", [{"a": step} for step in range(40)])
    exporter.server.export_history("local/p/order", rows_per_file=2)
    orders = {tuple(url.partition("?")[0] for url in exports_of(exporter, "order")[0]) for _ in range(5)}

    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


def test_rewritten_rows_are_exported_again(exporter: RawClient) -> None:
    """Earlier exports are deleted."""
    stream(exporter, "again", [{"a": step} for step in range(3)], ends=True)
    before = exports_of(exporter, "again")[0]
    stream(exporter, "again", [{"a": -1}], offset=2, ends=True)

    assert [row["a"] for row in exported_rows(exporter, "again")] == [0, 1, -1]
    assert [loopback.get(url).status_code for url in before] == [404]


def test_late_row_with_an_earlier_step_is_live(server: DevServer, raw: RawClient) -> None:
    """It came after the export, so pages begin at its step."""
    stream(raw, "r", [{"a": step} for step in range(4)])
    server.export_history("local/p/r")
    raw.stream_rows({"_step": 2, "late": True}, offset=4)
    urls, live = exports_of(raw, "r")

    assert [row["_step"] for url in urls for row in fetch(url)] == [0, 1, 2, 3]
    assert live == [{"_step": 2}]


def test_exports_survive_a_restart_and_are_deleted_with_their_run(tmp_path: Any) -> None:
    """The files of a deleted run are removed."""
    with DevServer(tmp_path) as server, RawClient(server) as raw:
        stream(raw, "r", [{"a": 1}])
        server.export_history("local/p/r")
    with DevServer(tmp_path) as server, RawClient(server) as raw:
        assert exported_rows(raw, "r") == [{"_step": 0, "a": 1}]
        (blob,) = (tmp_path / "blobs").glob("??/*")
        node = raw.open_run("r")["id"]
        raw.data(DELETE, input={"id": node})
        assert not blob.exists()


def test_faults_apply_to_exports(exporter: RawClient) -> None:
    """Their target is the name of the file."""
    stream(exporter, "fault", [{"a": 1}], ends=True)
    (url,) = exports_of(exporter, "fault")[0]
    exporter.server.faults.add(Fault("download", target="0.parquet", status=503))
    assert [loopback.get(url).status_code for _ in range(2)] == [503, 200]


def test_invalid_export_arguments_raise(server: DevServer, raw: RawClient) -> None:
    """The error names the argument, and nothing is exported."""
    raw.open_run("r")
    with pytest.raises(UsageError, match="export_after is -1"):
        DevServer(export_after=-1)
    with pytest.raises(UsageError, match="rows_per_file is 0"):
        server.export_history("local/p/r", rows_per_file=0)
    with pytest.raises(NotFoundError, match="it has 'local/p/r'"):
        server.export_history("local/p/other")


def test_exports_without_pyarrow_are_refused_at_start(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the package to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"export_after is 10: .* pip install 'wandb-devserver\[parquet\]'"):
        DevServer(export_after=10)
    with pytest.raises(UsageError, match=r"export_history\(\): .*wandb-devserver\[parquet\]"):
        server.export_history("local/p/r")


def test_exported_text_equals_that_of_pages(exporter: RawClient) -> None:
    """Exports and pages are two views of the same rows."""
    rows = [{"a": step / 3, "b": {"c": [step]}} for step in range(5)]
    stream(exporter, "both", rows, ends=True)
    query = 'query H { project(name: "p") { run(name: "both") { history(minStep: 0, maxStep: 9, samples: 9) } } }'
    pages = [json.loads(row) for row in exporter.data(query)["project"]["run"]["history"]]

    assert exported_rows(exporter, "both") == pages
