"""Histories of runs of the real SDK, compared with those that the SDK reads."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
import pytest
import wandb
from wandb_artifacts import HistoryFormat, download_run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wandb_devserver import DevServer

PROJECT = "e2e"


def logged(rows: Iterable[tuple[int, dict[str, Any]]], **settings: Any) -> str:
    """Log rows at steps and return the path of the run."""
    with wandb.init(project=PROJECT, reinit="create_new", **settings) as run:
        for step, values in rows:
            run.log(values, step=step)
        return f"local/{PROJECT}/{run.id}"


def history(path: str, folder: Path, form: HistoryFormat = "json") -> list[dict[str, Any]]:
    """Read the rows of a download with a strict JSON parser."""
    result = download_run(path, folder, history_format=form)
    assert result.history_path is not None
    file = folder / result.history_path
    if form == "parquet":
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    elif form == "jsonl":
        lines = file.read_text("utf-8").split("\n")[:-1]
        rows = [json.loads(line, parse_constant=refuse) for line in lines]
    else:
        rows = json.loads(file.read_text("utf-8"), parse_constant=refuse)
    assert len(rows) == result.history_rows
    return rows


def refuse(name: str) -> NoReturn:
    raise AssertionError(name)


def scanned(path: str) -> list[dict[str, Any]]:
    """Read rows with the SDK, with None for numbers that JSON lacks."""
    return [plain(row) for row in wandb.Api().run(path).scan_history()]


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    # The server's replacements.
    return None if value in ("NaN", "Infinity", "-Infinity") else value


ROWS: list[tuple[int, dict[str, Any]]] = [
    (0, {"loss": 1.5, "näme ✓": "ünï\u2028code\n"}),
    (1, {"loss": math.nan, "nested": {"inner": {"x": math.inf, "y": [1, -math.inf, "a"]}}}),
    (3, {"loss": 1e-300, "big": 2**60, "flag": True, "nothing": None}),
    (1_000, {"loss": np.float32(0.1), "tokens": 10**12}),
    (5_000, {"loss": 2, "histogram": wandb.Histogram([1, 2, 3])}),
]
NESTED = ("nested", "histogram")


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_rows_equal_those_of_the_sdk(form: HistoryFormat, wandb_devserver: DevServer, tmp_path: Path) -> None:
    path = logged(ROWS)

    rows = history(path, tmp_path / "download", form)

    assert rows == scanned(path)
    assert [row["_step"] for row in rows] == [step for step, _ in ROWS]
    assert [row["loss"] for row in rows[:3]] == [1.5, None, 1e-300]
    assert rows[1]["nested"] == {"inner": {"x": None, "y": [1, None, "a"]}}
    assert rows[0]["näme ✓"] == "ünï\u2028code\n"
    assert rows[2]["big"] == 2**60


def test_parquet_has_the_same_rows(wandb_devserver: DevServer, tmp_path: Path) -> None:
    path = logged(ROWS)
    expected = scanned(path)

    rows = history(path, tmp_path / "download", "parquet")

    for row, found in zip(expected, rows, strict=True):
        given = {key: json.loads(value) if value and key in NESTED else value for key, value in found.items()}
        assert given == {**dict.fromkeys(found), **row}


def test_sparse_steps_need_few_requests(wandb_devserver: DevServer, tmp_path: Path) -> None:
    """The SDK would request a thousand steps at a time and not terminate."""
    steps = [0, 2**20, *(10**12 + 2**21 * index for index in range(50))]
    path = logged((step, {"loss": 1.0}) for step in steps)

    assert [row["_step"] for row in history(path, tmp_path / "download")] == steps
    assert wandb_devserver.requests.count("graphql", "HistoryPage") == 1


def test_run_of_many_pages_is_complete(wandb_devserver: DevServer, tmp_path: Path) -> None:
    path = logged((step, {"loss": 1 / (step + 1), "text": "x" * 700}) for step in range(0, 60_000, 10))

    rows = history(path, tmp_path / "download")

    assert wandb_devserver.requests.count("graphql", "HistoryPage") >= 4
    assert len(rows) == 6_000
    assert rows == scanned(path)


def test_resumed_run_has_the_rows_of_both_attempts(wandb_devserver: DevServer, tmp_path: Path) -> None:
    logged([(step, {"loss": step}) for step in range(10)], id="again")
    path = logged([(step, {"loss": step, "late": 1}) for step in range(10, 15)], id="again", resume="must")

    rows = history(path, tmp_path / "download")

    assert [row["loss"] for row in rows] == list(range(15))
    assert rows == scanned(path)


def test_run_without_rows_is_empty(wandb_devserver: DevServer, tmp_path: Path) -> None:
    path = logged([])

    assert history(path, tmp_path / "download") == scanned(path) == []


def test_unfinished_run_is_read_again(wandb_devserver: DevServer, tmp_path: Path) -> None:
    with wandb.init(project=PROJECT, reinit="create_new") as run:
        path = f"local/{PROJECT}/{run.id}"
        run.log({"loss": 0})
        run.log({"loss": 1})

        rows = history(path, tmp_path / "download")
        # The SDK sends in the background.
        assert [row["loss"] for row in rows] == [0, 1][: len(rows)]
        run.log({"loss": 2})
    assert [row["loss"] for row in history(path, tmp_path / "download")] == [0, 1, 2]
