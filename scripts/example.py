"""Runs an example against a devserver on loopback, reads its runs back with `wandb.Api()` and shows them.

    hatch run example [NAME]

Exits with 1 if the example fails, or one of its runs is not finished. The logged runs stay in .quickstart.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import wandb
from rich.console import Console
from rich.table import Table
from wandb_devserver import DevServer

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}
IS_TEST = "test_"
METRICS = 4
"""So many values of the summary are shown."""


def main() -> int:
    """Runs and shows the example.

    Returns:
        The exit code of this script.
    """
    parser = argparse.ArgumentParser(prog="hatch run example", description="Runs an example against a local server.")
    parser.add_argument("name", choices=EXAMPLES, nargs="?", default="quickstart")
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / ".quickstart", help="the server's data; default: %(default)s"
    )
    given = parser.parse_args()
    name, data = given.name, given.data_dir
    if name.startswith(IS_TEST):  # its fixture starts a server for each test
        return subprocess.run([sys.executable, "-m", "pytest", str(EXAMPLES[name])], check=False).returncode
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
    with DevServer(data_dir=data) as server:
        console.print(f"wandb-devserver listens at {server.url}; running examples/{name}.py ...")
        use_server({**server.env, "WANDB_DIR": str(data), "WANDB_SILENT": "true"})
        before = {run.url for run in server.runs()}
        exit_code = subprocess.run([sys.executable, str(EXAMPLES[name])], cwd=ROOT, check=False).returncode
        api = wandb.Api()
        paths = [f"{run.entity}/{run.project}/{run.id}" for run in server.runs() if run.url not in before]
        runs = [api.run(path) for path in paths]
        console.print(as_table(runs))
        wandb.teardown()
    unfinished = [run.name for run in runs if run.state != "finished"]
    if exit_code or not runs or unfinished:
        console.print(
            f"[red]examples/{name}.py: exit code {exit_code}, runs: {len(runs)}, not finished: {unfinished}[/]"
        )
        return 1
    console.print("\nTo look at them in the browser:")
    console.print(f"  hatch run wandb-devserver --port 8080 --data-dir {os.path.relpath(data)}")
    for project in sorted({run.project for run in runs}):
        console.print(f"  http://127.0.0.1:8080/{server.entity}/{project}  (sign in by the link printed above)")
    return 0


def use_server(variables: dict[str, str]) -> None:
    """Points this process and its children at the server, regardless of the user's W&B settings."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    os.environ.update(variables)


def as_table(runs: list[Any]) -> Table:
    """The logged runs, one line each."""
    table = Table("run", "state", "rows", "config", "summary", title="Logged to W&B")
    for run in runs:
        config = {**run.config, **run.config.get("inputs", {})}
        parameters = {name: value for name, value in config.items() if name not in {"flyte", "inputs"}}
        summary = {name: value for name, value in run.summary.items() if isinstance(value, float) and name[0] != "_"}
        shown = dict(sorted(summary.items())[:METRICS])
        table.add_row(run.name, run.state, str(len(list(run.scan_history()))), as_text(parameters), as_text(shown))
    return table


def as_text(values: dict[str, Any]) -> str:
    """Values by name, numbers with four digits."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )


if __name__ == "__main__":
    sys.exit(main())
