"""Benchmarks at tiny sizes: they run, but measure nothing."""

import json
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
    """Run a benchmark, or the runner of all where no script is named."""
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
    assert len(re.findall(r"^  met: .*≤ 1e\+09", done.stdout, MANY)) == goals


def test_sweep_agents_benchmark_runs() -> None:
    """Each agent runs its trials."""
    sizes = ("--agents", 1, "--trials", 1, "--seconds", 0.01, "--sdk_trials", 1, "--parallel", 1, "--sleep", 0.01)
    done = run("sweep_agents.py", *sizes, "--rounds", 1, "--goal", 1e9, "--times_less", 1e-9, "--speedup", 1e-9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^  met: ", done.stdout, MANY)) == 3


def test_missed_goal_fails_the_benchmark() -> None:
    """The output names the goal."""
    done = run("setting_resolution.py", "--calls", 3, "--rounds", 1, "--goal", 1e-9)

    assert (done.returncode, done.stderr) == (1, "")
    assert "  MISSED: ≤ 1e-09 µs" in done.stdout


def test_artifact_downloads_benchmark_runs() -> None:
    """All four clients fetch the same files."""
    sizes = ("--runs", 2, "--rows", 10, "--latency", 0.001, "--megabytes", 2, "--rounds", 1, "--large_rounds", 1)
    done = run("artifact_downloads.py", *sizes, "--goal", 1e9, "--times_faster", 1e-9, "--large_goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^.+: [\d.e+-]+ s, baseline [\d.e+-]+ s, ratio [\d.]+$", done.stdout, MANY)) == 4
    assert len(re.findall(r"^  met: ", done.stdout, MANY)) == 3


def test_artifact_history_benchmark_runs() -> None:
    """It exports every row in both formats."""
    done = run("artifact_history.py", "--rows", 30, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert re.findall(r"^more memory for 30 rows as (\w+): .+\n  met: ", done.stdout, MANY) == ["json", "parquet"]


def test_devserver_history_benchmark_runs() -> None:
    """It reads back the rows that it logged."""
    done = run("devserver_history.py", "--rows", 500)

    assert done.returncode == 0, done.stderr
    assert "scan_history() of 500 rows: " in done.stdout


def test_devserver_pages_benchmark_runs() -> None:
    """It measures the server, and the browser if one is installed."""
    done = run("devserver_pages.py", "--rows", 300, "--metrics", 2, "--runs", 3, "--goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^data of the project page, 3 runs: .+\n  met: ", done.stdout, MANY)


def test_history_exports() -> None:
    """The benchmark of exported history has every client write all rows."""
    sizes = ("--rows", 4_000, "--page_rows", 1_000, "--latency", 0, "--rounds", 1, "--memory", 1e9)
    done = run("history_exports.py", *sizes, "--goal", 1e9, "--times_faster", 1e-9, "--jsonl_goal", 1e9)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^  met: ", done.stdout, MANY)) == 5


def test_runner_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    """The exit code follows from the goals, which a busy machine can miss."""
    path = tmp_path / "figures.json"
    done = run("", "setting_resolution", "--json", path)

    assert done.stderr == ""
    (benchmark,) = json.loads(path.read_text())["benchmarks"]
    (figure,) = benchmark["figures"]
    assert (benchmark["name"], figure["unit"], figure["goal"]) == ("setting_resolution", "µs", 50.0)
    assert figure["met"] == (figure["value"] <= 50.0) == (done.returncode == 0)
    mark = "yes" if figure["met"] else "NO"
    row = rf"^│ setting_resolution │ .+ │ {figure['value']:.4g} µs +│ .+ │ {figure['ratio']:.3f} │ ≤ 50 µs │ {mark} +│$"
    assert re.search(row, done.stdout, MANY)


def test_unknown_benchmark_exits_2() -> None:
    """The error names those that exist."""
    done = run("", "nonsense")

    assert done.returncode == 2
    assert "there is no benchmark nonsense; there are artifact_downloads, " in done.stderr
