"""Time and memory that the devserver takes for 200,000 rows of one run.

    python benchmarks/devserver_history.py [ROWS]

The real SDK logs the rows, the public API scans them back; every row is compared. The server
runs in a separate process, whose peak memory is measured.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paired import devserver

LOG = """
import sys, time, wandb
rows, started = int(sys.argv[1]), time.monotonic()
with wandb.init(project="bench", id="long", settings=wandb.Settings(console="off")) as run:
    for step in range(rows):
        run.log({"loss": 1 / (step + 1), "accuracy": step / rows, "lr": 0.1, "epoch": step // 1000})
print(f"log and finish: {time.monotonic() - started:.1f} s")
"""

SCAN = """
import resource, sys, time, wandb
rows = int(sys.argv[1])
run = wandb.Api().run("local/bench/long")
for name, options in (("scan_history()", {}), ("scan_history(keys=['loss'])", {"keys": ["loss"]})):
    started, seen = time.monotonic(), 0
    for row in run.scan_history(**options):
        assert row["_step"] == seen and abs(row["loss"] - 1 / (seen + 1)) < 1e-12, row
        seen += 1
    assert seen == rows, seen
    print(f"{name}: {seen} rows in {time.monotonic() - started:.1f} s")
started = time.monotonic()
assert len(run.history(pandas=False)) == 500
print(f"history(): 500 of {rows} rows in {time.monotonic() - started:.1f} s")
print(f"peak memory of the reading process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
"""


def peak_memory(process_id: int) -> float:
    """Return the largest resident size a process ever had, in MB."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def main() -> None:
    rows = sys.argv[1] if len(sys.argv) > 1 else "200000"
    with tempfile.TemporaryDirectory() as folder, devserver(Path(folder) / "data") as (process_id, variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        environment = {**kept, **variables, "WANDB_SILENT": "true", "WANDB_DIR": folder}
        print(f"server at rest: {peak_memory(process_id):.0f} MB")
        for script in (LOG, SCAN):
            subprocess.run([sys.executable, "-c", script, rows], env=environment, cwd=folder, check=True)
            print(f"peak memory of the server so far: {peak_memory(process_id):.0f} MB")
        size = sum(path.stat().st_size for path in (Path(folder) / "data").rglob("*") if path.is_file())
        print(f"on disk: {size / 2**20:.0f} MB")


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"in all: {time.monotonic() - started:.0f} s")
