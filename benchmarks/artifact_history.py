"""Memory used to export the history of a run with many rows.

    hatch run bench:run benchmarks/artifact_history.py [--rows N] [--goal MB]

The figure is the growth of the peak resident size of a separate process after its imports and a first, small download:
once for JSON, once for Parquet.
"""

import subprocess
import sys
import tempfile

from figures import Figure, report
from paired import arguments
from slow_devserver import slow_devserver

EXPORT = """
import resource, sys, time
from wandb_artifacts import download_run

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

form, rows, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
download_run("local/bench/small", f"{folder}/{form}-small", history_format=form)
before, started = peak(), time.perf_counter()
result = download_run("local/bench/long", f"{folder}/{form}", history_format=form)
assert result.history_rows == rows, result
print(f"{form}: {rows} rows in {time.perf_counter() - started:.1f} s", file=sys.stderr)
print(peak() - before)
"""


def main() -> int:
    sizes = arguments(__doc__, goal=64.0, rows=200_000)
    figures = []
    with tempfile.TemporaryDirectory() as folder, slow_devserver(f"{folder}/data") as server:
        server.run("small", {}, 100)
        server.run("long", {}, sizes.rows)
        for form in ("json", "parquet"):
            command = [sys.executable, "-c", EXPORT, form, str(sizes.rows), folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            name = f"more memory for {sizes.rows} rows as {form}"
            figures.append(Figure(name, float(done.stdout), "MB", goal=sizes.goal))
    return report(figures, sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
