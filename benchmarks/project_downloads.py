"""The runs of a project against a loop over `wandb.Api()`: time, requests and memory.

    hatch run bench:run benchmarks/project_downloads.py [--runs N] [--rows N] [--latency S] [--sample N] [--goal G]

A project of `--runs` runs with 3 files and `--rows` rows each; the server delays each response by `--latency` seconds.
The loop is what one writes with the SDK: `file.download`, `scan_history`, one after the other. It is measured over
`--sample` runs, and the time for all runs is computed from that. Each client runs in a separate process; the clock
starts after its imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from figures import Figure, report
from paired import arguments
from slow_devserver import SlowServer, slow_devserver

PROJECT = "local/bench"
FILE_SIZES = (200, 2_000, 20_000)
WRITERS = 4
SECOND_CALL = 0.05
MEMORY = 16.0
"""MB."""


def ours(folder: str, runs: str) -> dict[str, float]:
    """The time of a download, and the growth of the peak memory after a first, small one."""
    import resource

    from wandb_artifacts import download_runs

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    download_runs(PROJECT, Path(folder).with_name("warm-up"), limit=10)
    before, started = peak(), time.perf_counter()
    result = download_runs(PROJECT, folder, limit=int(runs))
    elapsed = time.perf_counter() - started
    assert result.matched == int(runs), result.matched
    return {"time": elapsed, "memory": peak() - before}


def loop(folder: str, runs: str) -> dict[str, float]:
    import wandb

    started = time.perf_counter()
    found: Any = wandb.Api().runs(PROJECT)
    for run in islice(found, int(runs)):
        for file in run.files():
            file.download(root=f"{folder}/{run.id}").close()
        with Path(folder, run.id, "metrics_history.json").open("w") as history:
            json.dump(list(run.scan_history()), history)
    return {"time": time.perf_counter() - started}


def measure(role: str, folder: str, runs: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--role", role, folder, str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def fill(server: SlowServer, runs: int, rows: int) -> None:
    def make(number: int) -> None:
        files = {f"file{size}": os.urandom(size) for size in FILE_SIZES}
        server.run(f"run{number}", files, rows, config=json.dumps({"lr": {"value": number / runs}}))

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(make, range(runs)))


def main() -> int:
    sizes = arguments(__doc__, goal=0.1, runs=1000, rows=100, latency=0.05, sample=20)
    with tempfile.TemporaryDirectory() as folder, slow_devserver(f"{folder}/data") as server:
        fill(server, sizes.runs, sizes.rows)
        server.slow_down(sizes.latency)
        few = measure("ours", f"{folder}/few", max(sizes.runs // 10, 10))
        counts = [server.requests()]
        times = []
        for _ in range(2):
            times.append(measure("ours", f"{folder}/all", sizes.runs))
            counts.append(server.requests())
        sampled = measure("loop", f"{folder}/loop", sizes.sample)["time"] * sizes.runs / sizes.sample
    first, second = times
    # Each process has also listed ten runs to warm up, with one request.
    made = [after - before for before, after in pairwise(counts)]
    runs = f"{sizes.runs} runs"
    figures = [
        Figure(f"{runs}, against a loop over wandb.Api()", first["time"], "s", sampled, sizes.goal, "ratio"),
        Figure("requests per run", (made[0] - 1) / sizes.runs, "requests", goal=len(FILE_SIZES) + 2),
        Figure("requests per 100 runs of a second call", (made[1] - 1) / sizes.runs * 100, "requests", goal=1),
        Figure("a second call, against the first", second["time"], "s", first["time"], SECOND_CALL, "ratio"),
        Figure(f"memory, {runs} against a tenth", first["memory"], "MB", few["memory"], MEMORY, "difference"),
    ]
    return report(figures, sizes.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        print(json.dumps({"ours": ours, "loop": loop}[sys.argv[2]](*sys.argv[3:])))
    else:
        raise SystemExit(main())
