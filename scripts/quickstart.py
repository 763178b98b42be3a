"""Runs examples/quickstart.py against a devserver on loopback, reads its runs back with `wandb.Api()` and shows them.

Exits with 1 if anything is missing. The logged runs stay in .quickstart, to look at in a browser.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wandb
from rich.console import Console
from rich.table import Table
from wandb_devserver import DevServer

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".quickstart"
PROJECT = "flyte-quickstart"
EPOCHS = 12


def main() -> int:
    """Runs and checks the example.

    Returns:
        The exit code of this script.
    """
    console = Console(highlight=False, soft_wrap=True, width=100)
    with DevServer(data_dir=DATA) as server:
        console.print(f"wandb-devserver listens at {server.url}; training ...")
        use_server(server.env)
        trained = subprocess.run([sys.executable, str(ROOT / "examples" / "quickstart.py")], check=False)
        if trained.returncode:
            console.print(f"[red]examples/quickstart.py failed with exit code {trained.returncode}[/]")
            return 1
        runs = newest_runs(wandb.Api(), f"{server.entity}/{PROJECT}")
        console.print(as_table(runs))
        missing = list(find_missing(runs))
        wandb.teardown()
    for problem in missing:
        console.print(f"[red]missing: {problem}[/]")
    console.print("\nTo look at them in the browser:")
    console.print(f"  hatch run wandb-devserver --port 8080 --data-dir {os.path.relpath(DATA)}")
    console.print(f"  http://127.0.0.1:8080/{server.entity}/{PROJECT}  (sign in by the link printed above)")
    return 1 if missing else 0


def use_server(variables: dict[str, str]) -> None:
    """Points this process and its children at the server, regardless of the user's W&B settings."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    os.environ.update(variables, WANDB_DIR=str(DATA), WANDB_SILENT="true")


def newest_runs(api: wandb.Api, project: str) -> dict[str, Any]:
    """The W&B runs of the newest Flyte run, by name."""
    newest = api.runs(project, order="-created_at", per_page=1)[0]
    return {run.name: run for run in api.runs(project, filters={"group": newest.group}, lazy=False)}


def as_table(runs: dict[str, Any]) -> Table:
    """The logged runs, one line each."""
    table = Table(title="Logged to W&B")
    for heading in ("run", "state", "rows", "train/loss", "test/accuracy", "tags"):
        table.add_column(heading, no_wrap=True)
    for run in runs.values():
        rows = list(run.scan_history())
        losses = [row["train/loss"] for row in rows if row.get("train/loss") is not None]
        table.add_row(
            run.name,
            run.state,
            str(len(rows)),
            f"{losses[0]:.3f} → {losses[-1]:.3f}" if losses else "",
            f"{run.summary.get('test/accuracy', float('nan')):.3f}",
            ", ".join(run.tags),
        )
    return table


def find_missing(runs: dict[str, Any]) -> Iterator[str]:
    """Yields what the example should have logged and W&B does not have."""
    for name in ("sgd", "baseline"):
        if name not in runs:
            yield f"the run {name!r}"
        elif runs[name].state != "finished":
            yield f"the end of run {name!r}: it is {runs[name].state}"
        elif "test/accuracy" not in runs[name].summary:
            yield f"test/accuracy of run {name!r}"
    if "sgd" in runs:
        epochs = [row["epoch"] for row in runs["sgd"].scan_history(keys=["epoch", "train/loss"])]
        if epochs != list(range(EPOCHS)):
            yield f"epochs of run 'sgd': it has {epochs}"
        if runs["sgd"].config.get("data") != "digits":
            yield "the configuration of with_runcontext"


if __name__ == "__main__":
    sys.exit(main())
