"""Run benchmarks one after the other, and print their figures in one table.

    hatch run bench [NAME...] [--json PATH]

Each benchmark is a script of this folder, and runs in a separate process. Exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure, read_figures
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent
SHARED = {"__main__", "figures", "paired", "slow_devserver"}
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)
HEADINGS = ("benchmark", "figure", "measured", "baseline", "ratio", "goal", "met")


@dataclass(frozen=True)
class Outcome:
    """Figures of a benchmark that ran."""

    name: str
    seconds: float
    exit_code: int
    figures: list[Figure]

    @property
    def has_failed(self) -> bool:
        """Whether it could not measure, in contrast to a missed goal."""
        return not self.figures

    def as_json(self) -> dict[str, Any]:
        figures = [figure.as_json() for figure in self.figures]
        return {"name": self.name, "seconds": self.seconds, "exit_code": self.exit_code, "figures": figures}


def run(name: str) -> Outcome:
    """Run a benchmark, whose output goes to the terminal."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "figures.json")
        command = [sys.executable, str(FOLDER / f"{name}.py"), "--json", str(path)]
        exit_code = subprocess.run(command, check=False).returncode
        figures = read_figures(path) if path.exists() else []
    return Outcome(name, time.monotonic() - started, exit_code, figures)


def as_table(outcomes: list[Outcome]) -> Table:
    """The figures of all benchmarks, one a line."""
    table = Table(*HEADINGS, title="Benchmarks")
    marks = {None: "", True: "[green]yes[/]", False: "[red]NO[/]"}
    for outcome in outcomes:
        if outcome.has_failed:
            table.add_row(outcome.name, f"[red]failed with exit code {outcome.exit_code}[/]", end_section=True)
        for figure in outcome.figures:
            name = outcome.name if figure is outcome.figures[0] else ""
            texts = (figure.measured_text(), figure.baseline_text(), figure.ratio_text(), figure.goal_text())
            is_last = figure is outcome.figures[-1]
            table.add_row(name, figure.name, *texts, marks[figure.is_met], end_section=is_last)
    return table


def environment() -> dict[str, Any]:
    """Describe the machine and the versions of the packages."""
    packages = {name: version(name) for name in ("flyte", "wandb", "flyteplugins-wandb")}
    machine = {"python": platform.python_version(), "system": platform.platform(), "processors": os.cpu_count()}
    return {"time": datetime.now(timezone.utc).isoformat(timespec="seconds"), **machine, **packages}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all, which are {', '.join(NAMES)}")
    parser.add_argument("--json", default="bench.json", metavar="PATH", help="default: %(default)s")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(NAMES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    outcomes = []
    for name in given.names or NAMES:
        console.rule(name, align="left")
        outcomes.append(run(name))
    console.print(as_table(outcomes))
    seconds = sum(outcome.seconds for outcome in outcomes)
    written = {**environment(), "seconds": seconds, "benchmarks": [outcome.as_json() for outcome in outcomes]}
    Path(given.json).write_text(json.dumps(written, indent=2) + "\n")
    console.print(f"{seconds:.0f} s in all; written to {given.json}")
    return int(any(outcome.exit_code or outcome.has_failed for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
