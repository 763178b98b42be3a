"""`import flyteplugins.wandb` against `import flyte`, and what `import wandb_artifacts` adds to `import fsspec`.

Each import runs in a new interpreter.

    hatch run bench:run benchmarks/import_time.py [--rounds N] [--goal G] [--added MS]

The figure is the time of the statement, without the start of the interpreter. Both have their bytecode: `-I` takes no
PYTHONDONTWRITEBYTECODE from the environment, and the warm-up round compiles the rest.
"""

import subprocess
import sys

from figures import report
from paired import arguments, in_turns

IMPORT = "import sys, time; started = time.perf_counter(); import {module}; print(time.perf_counter() - started)"


def importing(module: str) -> float:
    command = [sys.executable, "-I", "-c", IMPORT.format(module=module)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> int:
    sizes = arguments(__doc__, goal=1.15, added=50.0, rounds=21)
    measured = in_turns(
        "import flyteplugins.wandb", lambda: importing("flyteplugins.wandb"), lambda: importing("flyte"), sizes.rounds
    )
    both = "fsspec, wandb_artifacts"
    artifacts = in_turns(f"import {both}", lambda: importing(both), lambda: importing("fsspec"), sizes.rounds)
    figures = [
        measured.figure("ms", scale=1000, goal=sizes.goal),
        artifacts.figure("ms", scale=1000, goal=sizes.added, goal_for="difference"),
    ]
    return report(figures, sizes.json)


if __name__ == "__main__":
    raise SystemExit(main())
