"""Logs the runs, the sweep and the artifacts that the documents read, with the SDK; prints the id of the sweep."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import wandb


def main() -> None:
    os.environ.update(WANDB_ENTITY="my-team", WANDB_PROJECT="my-project")
    for number, name in enumerate(("abc123", "def456", "ghi789")):
        with wandb.init(id=name, tags=["paper"], config={"lr": 0.1 * (number + 1)}) as run:
            for step in range(5):
                run.log({"loss": 1 / (step + 1 + number)})
            for file, text in {"table.csv": "x,y\n1,2\n", "model.pt": "weights " * 20}.items():
                Path(file).write_text(text)
                run.save(file)
            if not number:
                log_artifacts(run)
    sweep = wandb.sweep({"method": "grid", "parameters": {"lr": {"values": [0.1, 0.2]}}})
    wandb.agent(sweep, function=trial)
    sys.stdout.write(f"{sweep}\n")


def log_artifacts(run: wandb.Run) -> None:
    for name, kind, file in (("model", "model", "model.pt"), ("dataset", "dataset", "table.csv")):
        artifact = wandb.Artifact(name, type=kind)
        artifact.add_file(file)
        run.log_artifact(artifact).wait()


def trial() -> None:
    with wandb.init() as run:
        run.log({"loss": run.config["lr"]})


if __name__ == "__main__":
    main()
