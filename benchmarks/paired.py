"""Shared parts of the benchmarks: sizes from the command line, a server, paired rounds.

A figure alone depends on how fast and how busy the machine is. So ours and its baseline are measured in turns in one
run, after one warm-up round each, and the ratio of their medians is judged.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure, GoalFor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Rounds:
    """The measured values, one a round."""

    what: str
    ours: list[float]
    baseline: list[float]

    def figure(self, unit: str, *, scale: float = 1, goal: float | None = None, goal_for: GoalFor = "ratio") -> Figure:
        """The medians, and the ratios of the single rounds."""
        ratios = sorted(ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True))
        ours, baseline = (statistics.median(values) * scale for values in (self.ours, self.baseline))
        return Figure(self.what, ours, unit, baseline, goal, goal_for, tuple(ratios))


def in_turns(what: str, ours: Callable[[], float], baseline: Callable[[], float], rounds: int) -> Rounds:
    """Measures both in every round, each first in every other one.

    Args:
        what: What is measured, for people.
        ours: Does it once and returns what it took.
        baseline: The same, for what it is compared with.
        rounds: How often, after one round that is not counted; a single round measures nothing and has no such.
    """
    warm_ups = 1 if rounds > 1 else 0
    measured: dict[Callable[[], float], list[float]] = {ours: [], baseline: []}
    for number in range(rounds + warm_ups):
        for measure in (ours, baseline) if number % 2 else (baseline, ours):
            measured[measure].append(measure())
    return Rounds(what, measured[ours][warm_ups:], measured[baseline][warm_ups:])


def arguments(doc: str | None, **sizes: float) -> argparse.Namespace:
    """Reads the sizes, the goals and `--json` from the command line; the defaults' types are the arguments' types."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default: {default}")
    parser.add_argument("--json", default="", metavar="PATH", help="writes the figures as JSON")
    return parser.parse_args()


@contextmanager
def devserver(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Gives the process id of a server, and the variables that lead to it."""
    command = [sys.executable, "-m", "wandb_devserver", "--port", "0", "--data-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = "".join(process.stdout.readline() for _ in range(4))
        try:
            yield process.pid, dict(re.findall(r"^export (\w+)=(\S+)$", printed, re.MULTILINE))
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def logging_to_devserver() -> Iterator[None]:
    """Starts a server in a separate process and points this process at it, regardless of the user's W&B settings."""
    with tempfile.TemporaryDirectory() as folder, devserver(Path(folder) / "data") as (_, variables):
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            del os.environ[name]
        os.environ.update(variables, WANDB_DIR=folder, WANDB_SILENT="true", WANDB_PROJECT="bench")
        import wandb

        try:
            yield
        finally:
            wandb.teardown()
