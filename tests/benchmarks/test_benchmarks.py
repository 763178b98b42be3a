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
def test_benchmark(script: str, sizes: tuple[object, ...], goals: int) -> None:
    """A benchmark prints figures, baselines and whether the goal is met."""
    done = run(script, *sizes, "--rounds", 1, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^.+: [\d.e+]+ \S+, baseline [\d.e+]+ \S+, ratio [\d.]+$", done.stdout, MANY)) == goals
    assert len(re.findall(r"^met: .+ goal at most 1e\+09", done.stdout, MANY)) == goals


def test_sweep_agents() -> None:
    """The benchmark of sweep agents has each agent run its trials."""
    sizes = ("--agents", 1, "--trials", 1, "--seconds", 0.01, "--sdk_trials", 1, "--parallel", 1, "--sleep", 0.01)
    done = run("sweep_agents.py", *sizes, "--rounds", 1, "--goal", 1e9, "--times_less", 1e-9, "--speedup", 1e-9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^met: ", done.stdout, MANY)) == 3


def test_a_missed_goal() -> None:
    """A benchmark that misses its goal fails and names it."""
    done = run("setting_resolution.py", "--calls", 3, "--rounds", 1, "--goal", 1e-9)

    assert (done.returncode, done.stderr) == (1, "")
    assert "MISSED: setting resolution" in done.stdout


def test_artifact_downloads() -> None:
    """The benchmark of downloads has all four clients fetch the same."""
    sizes = ("--runs", 2, "--rows", 10, "--latency", 0.001, "--megabytes", 2, "--rounds", 1, "--large_rounds", 1)
    done = run("artifact_downloads.py", *sizes, "--goal", 1e9, "--times_faster", 1e-9, "--large_goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^.+: [\d.e+-]+ s, baseline [\d.e+-]+ s, ratio [\d.]+$", done.stdout, MANY)) == 4
    assert len(re.findall(r"^met: ", done.stdout, MANY)) == 3


def test_artifact_history() -> None:
    """The benchmark of long exports gets every row, in both forms."""
    done = run("artifact_history.py", "--rows", 30, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert re.findall(r"^met: more memory for 30 rows as (\w+)", done.stdout, MANY) == ["json", "parquet"]


def test_devserver_history() -> None:
    """The benchmark of long histories reads back what it has logged."""
    done = run("devserver_history.py", 500)

    assert done.returncode == 0, done.stderr
    assert "scan_history(): 500 rows" in done.stdout


def test_devserver_pages() -> None:
    """The benchmark of pages measures the server, and the browser where there is one."""
    done = run("devserver_pages.py", "--rows", 300, "--metrics", 2, "--runs", 3, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert "met: data of the project page" in done.stdout
