"""Time and memory that the devserver takes for 200,000 rows of one run.

    hatch run bench:run benchmarks/devserver_history.py [--rows N]

The real SDK logs the rows, the public API scans them back; every row is compared. The server
runs in a separate process, whose peak memory is measured.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Figure, report
from paired import arguments, devserver

LOG = """
import json, sys, time, wandb
rows, started = int(sys.argv[1]), time.monotonic()
with wandb.init(project="bench", id="long", settings=wandb.Settings(console="off")) as run:
    for step in range(rows):
        run.log({"loss": 1 / (step + 1), "accuracy": step / rows, "lr": 0.1, "epoch": step // 1000})
print(json.dumps([f"log {rows} rows and finish", time.monotonic() - started, "s"]))
"""

SCAN = """
import json, resource, sys, time, wandb
rows = int(sys.argv[1])
run = wandb.Api().run("local/bench/long")
for name, options in (("scan_history()", {}), ("scan_history(keys=['loss'])", {"keys": ["loss"]})):
    started, seen = time.monotonic(), 0
    for row in run.scan_history(**options):
        assert row["_step"] == seen and abs(row["loss"] - 1 / (seen + 1)) < 1e-12, row
        seen += 1
    assert seen == rows, seen
    print(json.dumps([f"{name} of {seen} rows", time.monotonic() - started, "s"]))
started = time.monotonic()
assert len(run.history(pandas=False)) == 500
print(json.dumps([f"history(), 500 of {rows} rows", time.monotonic() - started, "s"]))
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(["peak memory of the reading process", memory, "MB"]))
"""


def peak_memory(process_id: int) -> float:
    """Return the largest resident size a process ever had, in MB."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def main() -> int:
    sizes = arguments(__doc__, rows=200_000)
    with tempfile.TemporaryDirectory() as folder, devserver(Path(folder) / "data") as (process_id, variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        environment = {**kept, **variables, "WANDB_SILENT": "true", "WANDB_DIR": folder}
        figures = [Figure("memory of the server at rest", peak_memory(process_id), "MB")]
        for script, what in ((LOG, "writing"), (SCAN, "reading")):
            command = [sys.executable, "-c", script, str(sizes.rows)]
            done = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
            figures += [Figure(*json.loads(line)) for line in done.stdout.splitlines()]
            figures.append(Figure(f"peak memory of the server, after {what}", peak_memory(process_id), "MB"))
        size = sum(path.stat().st_size for path in (Path(folder) / "data").rglob("*") if path.is_file())
        figures.append(Figure("on disk", size / 2**20, "MB"))
    return report(figures, sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
