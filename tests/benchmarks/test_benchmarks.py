"""Benchmarks at tiny sizes: they run, but measure nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.preloaded.client import popen

MANY = re.MULTILINE
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    with popen(command, os.environ, BENCHMARKS) as process:
        output, errors = process.communicate()
        return subprocess.CompletedProcess(command, process.wait(), output, errors)


@pytest.mark.parametrize(
    ("script", "sizes", "goals"),
    [
        ("decorator_overhead.py", ("--rows", 3, "--seconds", 0.01), 2),
        ("parallel_children.py", ("--children", 2, "--rows", 3), 1),
        ("import_time.py", ("--added", 1e9), 2),
        ("setting_resolution.py", ("--calls", 3), 1),
    ],
)
def test_benchmark_prints_figures_and_meets_its_goal(script: str, sizes: tuple[object, ...], goals: int) -> None:
    """It prints baselines too."""
    done = run(script, *sizes, "--rounds", 1, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^.+: [\d.e+]+ \S+, baseline [\d.e+]+ \S+, ratio [\d.]+$", done.stdout, MANY)) == goals
    assert len(re.findall(r"^met: .+ goal at most 1e\+09", done.stdout, MANY)) == goals


def test_sweep_agents_benchmark_runs() -> None:
    """Each agent runs its trials."""
    sizes = ("--agents", 1, "--trials", 1, "--seconds", 0.01, "--sdk_trials", 1, "--parallel", 1, "--sleep", 0.01)
    done = run("sweep_agents.py", *sizes, "--rounds", 1, "--goal", 1e9, "--times_less", 1e-9, "--speedup", 1e-9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^met: ", done.stdout, MANY)) == 3


def test_missed_goal_fails_the_benchmark() -> None:
    """The output names the goal."""
    done = run("setting_resolution.py", "--calls", 3, "--rounds", 1, "--goal", 1e-9)

    assert (done.returncode, done.stderr) == (1, "")
    assert "MISSED: setting resolution" in done.stdout


def test_artifact_downloads_benchmark_runs() -> None:
    """All four clients fetch the same files."""
    sizes = ("--runs", 2, "--rows", 10, "--latency", 0.001, "--megabytes", 2, "--rounds", 1, "--large_rounds", 1)
    done = run("artifact_downloads.py", *sizes, "--goal", 1e9, "--times_faster", 1e-9, "--large_goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^.+: [\d.e+-]+ s, baseline [\d.e+-]+ s, ratio [\d.]+$", done.stdout, MANY)) == 4
    assert len(re.findall(r"^met: ", done.stdout, MANY)) == 3


def test_artifact_history_benchmark_runs() -> None:
    """It exports every row in both formats."""
    done = run("artifact_history.py", "--rows", 30, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert re.findall(r"^met: more memory for 30 rows as (\w+)", done.stdout, MANY) == ["json", "parquet"]


def test_devserver_history_benchmark_runs() -> None:
    """It reads back the rows that it logged."""
    done = run("devserver_history.py", 500)

    assert done.returncode == 0, done.stderr
    assert "scan_history(): 500 rows" in done.stdout


def test_devserver_pages_benchmark_runs() -> None:
    """It measures the server, and the browser if one is installed."""
    done = run("devserver_pages.py", "--rows", 300, "--metrics", 2, "--runs", 3, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert "met: data of the project page" in done.stdout


def test_history_exports() -> None:
    """The benchmark of exported history has every client write all rows."""
    sizes = ("--rows", 4_000, "--page_rows", 1_000, "--latency", 0, "--rounds", 1, "--memory", 1e9)
    done = run("history_exports.py", *sizes, "--goal", 1e9, "--times_faster", 1e-9, "--jsonl_goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^met: ", done.stdout, MANY)) == 5
