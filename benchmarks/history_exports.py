"""The history of a long run from W&B's Parquet exports, against an ideal client and against pages.

    hatch run bench:run benchmarks/history_exports.py [--rows N] [--page_rows N] [--latency S] [--rounds N] [--goal G]
                                                      [--times_faster G] [--jsonl_goal G] [--memory MB]

A run of `--rows` rows with 8 keys, exported to files of 50,000 rows; the server delays each response by `--latency`
seconds. The ideal client knows the URLs beforehand, fetches all files at once, holds them in memory and writes one
Parquet file with pyarrow; it checks nothing. Pages are measured with `--page_rows` rows, and the time is scaled to
`--rows`. JSON Lines are compared with our Parquet.

Each client runs in a separate process; the clock starts after its imports and a first, small download, and the memory
is the growth of the peak resident size since then.
"""

from __future__ import annotations

import asyncio
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import Figure, report
from paired import Rounds, arguments, in_turns
from slow_devserver import SlowServer, slow_devserver

EXPORTS = """query E($run: String!) {
  project(name: "bench", entityName: "local") {
    run(name: $run) { parquetHistory(liveKeys: ["_step"]) { parquetUrls liveData } }
  }
}"""
SMALL, LONG = "small", "long"
SMALL_ROWS = 3_000
"""Enough for exports to be used."""


def make_row(step: int) -> str:
    """A row as a training loop logs it, with 8 keys."""
    values = {"_step": step, "_timestamp": 1.7e9 + step / 3, "_runtime": step / 3, "epoch": step // 100}
    values |= {"loss": 1 / (step + 1), "accuracy": step / (step + 7), "lr": 0.1, "norm": (step * 7919 % 1009) / 7}
    return json.dumps(values)


def ours(run: str, form: str, folder: str) -> None:
    from wandb_artifacts import download_run

    download_run(f"local/bench/{run}", f"{folder}/{run}", history_format=form)  # type: ignore[arg-type]


def ideal(run: str, urls: list[str], folder: str) -> None:
    asyncio.run(_ideal(urls, Path(folder, f"{run}.parquet")))


async def _ideal(urls: list[str], target: Path) -> None:
    import aiohttp
    import pyarrow.parquet as pq

    async def fetch(url: str) -> bytes:
        async with session.get(url) as response:
            return await response.read()

    async with aiohttp.ClientSession() as session:
        bodies = await asyncio.gather(*map(fetch, urls))
    tables = [pq.read_table(io.BytesIO(body)) for body in bodies]
    tables.sort(key=lambda table: int(table["_step"][0].as_py()))
    with pq.ParquetWriter(target, tables[0].schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def client(plan: dict[str, Any]) -> None:
    """Fetches the small run, then the long one, and prints the seconds and the megabytes of the second."""

    def work(run: str) -> None:
        if plan["form"] == "ideal":
            ideal(run, plan["urls"][run], plan["folder"])
        else:
            ours(run, plan["form"], plan["folder"])

    work(SMALL)
    before, started = _peak(), time.perf_counter()
    work(LONG)
    print(json.dumps([time.perf_counter() - started, _peak() - before]))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Bench:
    """The clients of one server, and the most memory that each took."""

    def __init__(self, server: SlowServer, latency: float) -> None:
        self._server = server
        self._latency = latency
        self.memory: dict[str, float] = {}

    def seconds(self, form: str, urls: dict[str, list[str]] | None = None) -> float:
        self._server.slow_down(self._latency)
        with tempfile.TemporaryDirectory() as folder:
            plan = json.dumps({"form": form, "urls": urls, "folder": folder})
            command = [sys.executable, __file__, "--client", plan]
            done = subprocess.run(command, env=self._environment(), stdout=subprocess.PIPE, text=True, check=True)
        seconds, megabytes = json.loads(done.stdout)
        self.memory[form] = max(megabytes, self.memory.get(form, 0.0))
        return float(seconds)

    def urls(self) -> dict[str, list[str]]:
        self._server.slow_down(0)
        return {run: self._urls(run) for run in (SMALL, LONG)}

    def _urls(self, run: str) -> list[str]:
        response = self._server.send("graphql", {"query": EXPORTS, "variables": {"run": run}})
        found = response["data"]["project"]["run"]["parquetHistory"]
        assert not found["liveData"]
        return list(found["parquetUrls"])

    def _environment(self) -> dict[str, str]:
        import os

        return {**os.environ, **self._server.env}


def main() -> int:
    sizes = arguments(
        __doc__,
        goal=1.3,
        rows=1_000_000,
        page_rows=100_000,
        latency=0.05,
        rounds=2,
        times_faster=10.0,
        jsonl_goal=2.5,
        memory=64.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        with slow_devserver(f"{folder}/pages") as server:
            server.run(SMALL, {}, SMALL_ROWS, make_row)
            server.run(LONG, {}, sizes.page_rows, make_row)
            pages = Bench(server, sizes.latency).seconds("parquet") * sizes.rows / sizes.page_rows
        with slow_devserver(f"{folder}/exports", export_after=0) as server:
            server.run(SMALL, {}, SMALL_ROWS, make_row)
            server.run(LONG, {}, sizes.rows, make_row)
            bench = Bench(server, sizes.latency)
            urls = bench.urls()
            parquet = in_turns(
                f"{sizes.rows} rows as Parquet, against an ideal client",
                lambda: bench.seconds("parquet"),
                lambda: bench.seconds("ideal", urls),
                sizes.rounds,
            )
            lines = in_turns(
                f"{sizes.rows} rows as JSON Lines, against Parquet",
                lambda: bench.seconds("jsonl"),
                lambda: bench.seconds("parquet"),
                sizes.rounds,
            )
    by_pages = f"{sizes.rows} rows as Parquet, against pages (computed from {sizes.page_rows} rows)"
    figures = [
        parquet.figure("s", goal=sizes.goal),
        Rounds(by_pages, [statistics.median(parquet.ours)], [pages]).figure("s", goal=1 / sizes.times_faster),
        lines.figure("s", goal=sizes.jsonl_goal),
    ]
    memory = [
        Figure(f"more memory for {form}", bench.memory[form], "MB", goal=sizes.memory) for form in ("parquet", "jsonl")
    ]
    return report([*figures, *memory], sizes.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        client(json.loads(sys.argv[2]))
    else:
        raise SystemExit(main())
