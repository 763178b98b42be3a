"""Runs examples/sweep.py, or the named example, against a devserver; reads its sweep back and shows the trials.

Exits with 1 if anything is missing. The logged runs stay in .quickstart, to look at in a browser.
"""

import os
import subprocess
import sys

from rich.console import Console
from rich.table import Table
from wandb_devserver import DevServer, SweepRecord

from scripts.quickstart import DATA, ROOT, use_server

PROJECTS = {"sweep": "flyte-sweep", "sweep_trials": "flyte-sweep-trials"}
TRIALS = 6


def main(example: str = "sweep") -> int:
    """Runs and checks the example.

    Args:
        example: the name of its file, without `.py`.

    Returns:
        The exit code of this script.
    """
    console = Console(highlight=False, soft_wrap=True, width=100)
    with DevServer(data_dir=DATA) as server:
        console.print(f"wandb-devserver listens at {server.url}; searching ...")
        use_server(server.env)
        searched = subprocess.run([sys.executable, str(ROOT / "examples" / f"{example}.py")], check=False)
        if searched.returncode:
            console.print(f"[red]examples/{example}.py failed with exit code {searched.returncode}[/]")
            return 1
        sweep = server.sweeps(f"{server.entity}/{PROJECTS[example]}")[-1]
    console.print(as_table(sweep))
    finished = [trial for trial in sweep.trials if trial.state == "finished" and "loss" in trial.summary]
    if len(finished) != TRIALS or sweep.state != "FINISHED":
        console.print(f"[red]missing: {TRIALS - len(finished)} trials; the sweep is {sweep.state}[/]")
        return 1
    console.print("\nTo look at them in the browser:")
    console.print(f"  hatch run wandb-devserver --port 8080 --data-dir {os.path.relpath(DATA)}")
    console.print(f"  http://127.0.0.1:8080/{server.entity}/{PROJECTS[example]}  (sign in by the link printed above)")
    return 0


def as_table(sweep: SweepRecord) -> Table:
    """The trials, one line each."""
    table = Table(title=f"Sweep {sweep.id}: {sweep.state}")
    for heading in ("trial", "state", "learning_rate", "penalty", "loss", "accuracy"):
        table.add_column(heading, no_wrap=True)
    for run in sweep.trials:
        values = [run.config.get(name) for name in ("learning_rate", "penalty")]
        measures = [f"{run.summary.get(name, float('nan')):.3f}" for name in ("loss", "accuracy")]
        table.add_row(run.name, run.state, *map(str, values), *measures)
    return table


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
