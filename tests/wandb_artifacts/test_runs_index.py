"""The index of a project's runs, as pandas, DuckDB and pyarrow read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import download_runs, verify_download

from tests.support.documents import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

PAGE = ROOT / "docs/guides/projects.md"


def config(**values: object) -> str:
    return json.dumps({key: {"value": value} for key, value in values.items()})


def test_documented_example_reads_the_index(
    project: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The block of the guide is executed as printed, with its own imports."""
    pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    for number in range(3):
        rows = [{"loss": number + step / 10} for step in range(2)]
        project.run(f"r{number}", rows=rows, summary={"loss": 3 - number}, config=config(lr=number / 10))
    monkeypatch.chdir(tmp_path)
    download_runs(f"local/{project.project}", "data", history_format="parquet")
    (block,) = (block for block in blocks(PAGE) if "import duckdb" in block.code)
    names: dict[str, Any] = {}

    exec(block.code, names)

    assert names["best"] == [("r2", 0.2, 1), ("r1", 0.1, 2), ("r0", 0.0, 3)]
    assert names["finished"].num_rows == len(names["frame"]) == 3
    assert names["losses"] == [(f"r{run}", step, run + step / 10) for run in range(3) for step in range(2)]
    assert "finished" in capsys.readouterr().out


def test_index_lines_are_read_by_the_same_libraries(project: WandbBackend, tmp_path: Path) -> None:
    """Parsers may refuse or change values: ids of digits, long integers, lone surrogates."""
    duckdb, pandas = pytest.importorskip("duckdb"), pytest.importorskip("pandas")
    dataset = pytest.importorskip("pyarrow.dataset")
    summary = '{"loss": NaN, "text": "a\\ud800\\u2028b", "seed": 123456789012345678901234567890}'
    project.run("0001", config=config(lr=0.1, net={"depth": 3}), summary=summary, tags=["1"])
    project.run("0002", config=config(lr=0.2, net={"depth": 4}), summary=summary)

    download_runs(f"local/{project.project}", tmp_path)

    file = tmp_path / "runs.jsonl"
    frame = pandas.read_json(file, lines=True, dtype=False)
    assert list(frame["id"]) == ["0001", "0002"]
    assert frame["config"][1] == {"lr": 0.2, "net": {"depth": 4}}
    assert frame["summary"][0]["loss"] is None
    assert frame["summary"][0]["seed"] == "123456789012345678901234567890"
    assert duckdb.sql(f"SELECT id, config.net.depth FROM '{file}'").fetchall() == [("0001", 3), ("0002", 4)]
    table = dataset.dataset(file, format="json").to_table()
    assert table.column("config").to_pylist()[0] == {"lr": 0.1, "net": {"depth": 3}}


KEYS = [f"k{number}" for number in range(1001)]
MIXED: dict[str, tuple[list[object], list[object]]] = {
    "integers": ([1, 2], [1, 2]),
    "numbers": ([1, 0.5], [1.0, 0.5]),
    "large integers": ([2**60 + 1, 2], [2**60 + 1, 2]),
    "kinds": ([1, "adam"], ["1", '"adam"']),
    "booleans and numbers": ([True, 1], ["true", "1"]),
    "missing": (["adam"], ["adam", None]),
    "objects": ([{"a": 1}, {"b": "x"}], [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
    "object and text": ([{"a": 1}, "x"], ['{"a": 1}', '"x"']),
    "empty objects": ([{}, {}], ["{}", "{}"]),
    "keys that differ in case": ([{"a": 1, "A": 2}, {"a": 1}], ['{"a": 1, "A": 2}', '{"a": 1}']),
    "lists": ([[1, 2], []], [[1, 2], []]),
    "lists of kinds": ([[1, "a"], [None]], [["1", '"a"'], [None]]),
    "lists of objects": ([[{"a": 1}], [{"a": 2.5}]], [[{"a": 1.0}], [{"a": 2.5}]]),
    "many keys": ([dict.fromkeys(KEYS, 1)], [json.dumps(dict.fromkeys(KEYS, 1)), None]),
    "null": ([None, None], [None, None]),
}


@pytest.mark.parametrize("case", MIXED)
def test_parquet_index_has_values_of_any_type(project: WandbBackend, tmp_path: Path, case: str) -> None:
    """Values of the same type are typed, others are JSON text; pyarrow and DuckDB read both."""
    parquet, duckdb = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("duckdb")
    given, expected = MIXED[case]
    for number in range(2):
        values = {"x": given[number]} if number < len(given) else {}
        project.run(f"r{number}", config=config(y=1, **values), summary={"x": 1})

    download_runs(f"local/{project.project}", tmp_path, history_format="parquet", include_history=False)

    rows = parquet.read_table(tmp_path / "runs.parquet").to_pylist()
    assert [row["config"]["x"] for row in rows] == expected
    found = duckdb.sql(f"SELECT config.x FROM '{tmp_path / 'runs.parquet'}' ORDER BY id").fetchall()
    assert [value for (value,) in found] == expected
    assert rows[0]["created_at"].tzinfo is not None
    assert verify_download(tmp_path).is_good


def test_runs_without_config_give_a_valid_index(project: WandbBackend, tmp_path: Path) -> None:
    parquet, duckdb = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("duckdb")
    project.run("a")

    download_runs(f"local/{project.project}", tmp_path, history_format="parquet")

    (row,) = parquet.read_table(tmp_path / "runs.parquet").to_pylist()
    assert (row["id"], row["config"], row["summary"]) == ("a", "{}", "{}")
    assert duckdb.sql(f"SELECT id FROM '{tmp_path / 'runs.parquet'}'").fetchall() == [("a",)]
