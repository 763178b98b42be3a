"""History rows through scans, samples and keys."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from wandb_devserver import DevServer

from tests.wandb_devserver.support import RawClient, Scripts

HISTORY = """query Q($min: Int64, $max: Int64, $n: Int) {
  project(name: "p") { run(name: "r") { history(minStep: $min, maxStep: $max, samples: $n) } } }"""
SAMPLED = 'query Q($specs: [JSONString!]!) { project(name: "p") { run(name: "r") { sampledHistory(specs: $specs) } } }'


def test_scan_returns_every_row(scripts: Scripts) -> None:
    """All rows in order: whole, by keys (rows that have them all), between steps, in small pages."""
    seen = scripts.run("""
with wandb.init(project="p", id="r") as run:
    for step in range(250):
        run.log({"a": step, **({"b": step} if step % 10 == 0 else {})})
run = wandb.Api().run("local/p/r")
report({
    "all": [row["a"] for row in run.scan_history()],
    "small": [row["a"] for row in run.scan_history(page_size=7)],
    "keys": [[row["a"], row["b"]] for row in run.scan_history(keys=["a", "b"], page_size=20)],
    "between": [row["a"] for row in run.scan_history(min_step=10, max_step=20)],
    "between keys": [row["a"] for row in run.scan_history(keys=["a"], min_step=10, max_step=20)],
    "last": run.lastHistoryStep,
    "length": len(run.history(samples=100, pandas=False)),
    "sampled": len(run.history(samples=20, keys=["b"], pandas=False)),
})
""")
    assert seen["all"] == seen["small"] == list(range(250))
    assert seen["keys"] == [[step, step] for step in range(0, 250, 10)]
    assert seen["between"] == list(range(10, 20))
    assert seen["between keys"][:10] == list(range(10, 20))
    assert (seen["last"], seen["length"], seen["sampled"]) == (249, 100, 20)


def test_scan_finds_steps_with_gaps(scripts: Scripts) -> None:
    """Users may count steps in thousands."""
    seen = scripts.run("""
with wandb.init(project="p", id="r") as run:
    for step in (0, 5, 999, 1000, 25_000):
        run.log({"a": step}, step=step)
run = wandb.Api().run("local/p/r")
report([[row["a"] for row in run.scan_history()], [row["a"] for row in run.scan_history(keys=["a"])]])
""")
    assert seen == [[0, 5, 999, 1000, 25_000]] * 2


def test_non_finite_numbers_are_preserved(server: DevServer, scripts: Scripts) -> None:
    """The API returns W&B's strings; records have floats."""
    seen = scripts.run("""
with wandb.init(project="p", id="r", config={"c": float("nan")}) as run:
    run.log({"a": float("nan"), "b": float("inf"), "c": float("-inf")})
run = wandb.Api().run("local/p/r")
rows = [*run.scan_history(), *run.scan_history(keys=["a", "b", "c"]), run.summary]
report([[row[key] for key in "abc"] for row in rows])
""")
    (row,) = server.run("local/p/r").history

    assert seen == [["NaN", "Infinity", "-Infinity"]] * 3
    assert [row["b"], row["c"]] == [math.inf, -math.inf]
    assert isinstance(row["a"], float)
    assert math.isnan(row["a"])


def test_system_metrics_are_a_separate_stream(server: DevServer, scripts: Scripts) -> None:
    """`history(stream="system")` and `systemMetrics` have them, the history does not."""
    seen = scripts.run(
        """
with wandb.init(project="p", id="r") as run:
    run.log({"a": 1})
    # A run that ends at once may have none.
    while not wandb.Api().run("local/p/r").history(stream="system", pandas=False):
        pass
run = wandb.Api().run("local/p/r")
report([run.history(stream="system", pandas=False), run.system_metrics])
""",
        WANDB_X_DISABLE_STATS="false",
        WANDB_X_STATS_SAMPLING_INTERVAL="0.1",
    )
    rows, latest = seen

    assert any(key.startswith("system.") for key in rows[0])
    assert any(key.startswith("system.") for key in latest)
    assert len(server.run("local/p/r").history) == 1
    assert server.run("local/p/r").events == rows


def test_empty_history_is_not_an_error(scripts: Scripts) -> None:
    seen = scripts.run("""
wandb.init(project="p", id="r").finish()
run = wandb.Api().run("local/p/r")
report([list(run.scan_history()), list(run.scan_history(keys=["a"])), run.history(pandas=False), run.lastHistoryStep])
""")
    assert seen == [[], [], [], -1]


def test_parquet_exports_are_empty(scripts: Scripts) -> None:
    """Nothing is exported: everything is live."""
    seen = scripts.run("""
with wandb.init(project="p", id="r") as run:
    run.log({"a": 1})
result = wandb.Api().run("local/p/r").download_history_exports("exports", require_complete_history=False)
report(len(result.paths))
""")
    assert seen == 0


def test_large_rows_are_stored_completely(server: DevServer, scripts: Scripts) -> None:
    """The client splits requests above 10 MiB."""
    scripts.run("""
with wandb.init(project="p", id="r") as run:
    for index in range(6):
        run.log({"text": str(index) * 4_000_000})
""")
    assert [len(str(row["text"])) for row in server.run("local/p/r").history] == [4_000_000] * 6


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"), [(0, 3, [0, 1, 2]), (2, 3, [2]), (3, 3, []), (8, 99, [8, 9])]
)
def test_history_page_excludes_its_end(raw: RawClient, minimum: int, maximum: int, expected: list[int]) -> None:
    """The page has every row of the range, whatever `samples` is."""
    raw.open_run("r")
    raw.stream_rows(*({"_step": step} for step in range(10)))
    rows = raw.data(HISTORY, min=minimum, max=maximum, n=1)["project"]["run"]["history"]

    assert [json.loads(row)["_step"] for row in rows] == expected


def test_sampled_page_includes_its_end(raw: RawClient) -> None:
    """Keys may be listed twice, and a bare string counts as a list of one spec."""
    raw.open_run("r")
    raw.stream_rows(*({"_step": step, "a": step} if step != 2 else {"_step": 2} for step in range(10)))
    spec = json.dumps({"keys": ["_step", "a", "_step"], "minStep": 1, "maxStep": 3, "samples": 1})
    rows = raw.data(SAMPLED, specs=spec)["project"]["run"]["sampledHistory"]

    assert rows == [[{"_step": 1, "a": 1}, {"_step": 3, "a": 3}]]


def test_rows_of_one_step_are_all_returned(raw: RawClient) -> None:
    """Several rows may have the same step."""
    raw.open_run("r")
    raw.stream_rows({"_step": 0, "a": 1}, {"_step": 0, "a": 2}, {"_step": 0, "a": 3})
    rows = raw.data(HISTORY, min=0, max=1, n=1000)["project"]["run"]["history"]

    assert [json.loads(row)["a"] for row in rows] == [1, 2, 3]


def test_sampling_spec_without_keys_is_refused(raw: RawClient) -> None:
    """An empty spec, which the sweep commands send, returns nothing."""
    raw.open_run("r")
    assert raw.data(SAMPLED, specs=["{}"])["project"]["run"]["sampledHistory"] == [[]]
    response: Any = raw.graphql(SAMPLED, specs=['{"samples": 3}']).json()

    assert "needs 'keys'" in response["errors"][0]["message"]
