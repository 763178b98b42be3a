"""The files in examples/, run as a user runs them on one machine, against the devserver."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import wandb

from tests.support.preloaded.client import popen
from tests.support.sdk_settings import SKLEARN_AT_START

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wandb_devserver import DevServer

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SCRIPTS = [path for path in EXAMPLES if not path.stem.startswith("test_")]
MAX_LINES = 79
ELASTIC_ONLY = {"distributed", "lightning_digits"}
"""Examples that need torch: run by tests/elastic."""

Runs = dict[str, Any]
"""The runs of an example by name."""


@pytest.mark.parametrize(
    "path", [path for path in SCRIPTS if path.stem not in ELASTIC_ONLY], ids=lambda path: path.stem
)
def test_example_logs_finished_runs(path: Path, wandb_devserver: DevServer, tmp_path: Path) -> None:
    """A new example is run as soon as it is in the folder."""
    output = run_example(path, tmp_path)
    records = wandb_devserver.runs()
    api = wandb.Api()
    runs = {record.name: api.run(f"{record.entity}/{record.project}/{record.id}") for record in records}

    assert records, output
    assert {record.state for record in records} == {"finished"}
    EXPECTED.get(path.stem, check_rows)(runs)
    assert PRINTED.get(path.stem, "") in output


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_can_run_remotely(path: Path) -> None:
    """A script has an image with the wheels, a way to the cluster and, if it is not offline, the secret."""
    text = path.read_text()

    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text))
    if path in SCRIPTS:
        assert f"python examples/{path.name} --remote" in text
        assert '.with_source_folder(Path("dist"), "/tmp/wheels", copy_contents_only=True)' in text
        assert ('flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY")' in text) == (path.stem != "offline")


def run_example(path: Path, folder: Path) -> str:
    """Run a script, which must exit with 0, and return what it prints."""
    environment = {**os.environ, "WANDB_SILENT": "true", "WANDB_DIR": str(folder), "HOME": str(folder)}
    # An example starts `wandb sync` by its name.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if path.stem == "sweep":
        environment |= SKLEARN_AT_START
    return run([sys.executable, str(path)], folder, environment)


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command, which must exit with 0, and return what it prints."""
    with popen(command, environment, folder) as process:
        output, errors = process.communicate()
        assert process.wait() == 0, output + errors
    return output


def check_rows(runs: Runs) -> None:
    assert all(rows(run, "loss") for run in runs.values())


def rows(run: Any, key: str) -> list[Any]:
    return [row[key] for row in run.scan_history(keys=[key])]


def check_quickstart(runs: Runs) -> None:
    """The child's accuracy is in the run of the parent."""
    assert set(runs) == {"sgd", "baseline"}
    losses = rows(runs["sgd"], "train/loss")
    assert rows(runs["sgd"], "epoch") == list(range(12))
    assert losses[-1] < losses[0]
    assert runs["sgd"].summary["test/accuracy"] > runs["baseline"].summary["test/accuracy"] > 0.5
    assert runs["sgd"].group == runs["baseline"].group
    assert runs["sgd"].config["data"] == "digits"


def check_train(runs: Runs) -> None:
    (run,) = runs.values()
    assert rows(run, "epoch") == list(range(10))
    assert run.config["inputs"] == {"learning_rate": 0.05, "epochs": 10}


def check_resume(runs: Runs) -> None:
    """No epoch is missing or trained twice, although the first attempt failed."""
    (run,) = runs.values()
    assert rows(run, "epoch") == list(range(10))
    assert run.config["flyte"]["attempt"] == 1


def check_sweep(runs: Runs) -> None:
    """Every point of the grid is a trial."""
    points = {(run.config["learning_rate"], run.config["penalty"]) for run in runs.values()}
    assert points == {(rate, penalty) for rate in (0.3, 0.03, 0.003) for penalty in ("l1", "l2")}
    assert all(len(rows(run, "loss")) == 8 and run.sweep.state == "FINISHED" for run in runs.values())


def check_artifacts(runs: Runs) -> None:
    """W&B knows which run made the dataset and which used it."""
    made, used = (runs[name] for name in sorted(runs, key=lambda name: not name.startswith("prepare")))
    (artifact,) = made.logged_artifacts()
    assert artifact.name == "digits:v0"
    assert [each.name for each in used.used_artifacts()] == ["digits:v0"]
    assert used.summary["accuracy"] > 0.9


def check_export(runs: Runs) -> None:
    assert sorted(run.config["inputs"]["learning_rate"] for run in runs.values()) == [0.1, 0.2, 0.3]
    assert all(len(rows(run, "loss")) == 20 for run in runs.values())


def check_ten_losses(runs: Runs) -> None:
    (run,) = runs.values()
    assert rows(run, "loss") == [1 / (step + 1) for step in range(10)]


EXPECTED: dict[str, Callable[[Runs], None]] = {
    "artifacts": check_artifacts,
    "export": check_export,
    "offline": check_ten_losses,
    "quickstart": check_quickstart,
    "resume": check_resume,
    "self_hosted": check_ten_losses,
    "sweep": check_sweep,
    "sweep_trials": check_sweep,
    "train": check_train,
}
"""Checks of what an example logs; without one it has rows of `loss` in every run."""
PRINTED = {
    "export": "o1=0.3",
    "resume": "began at epoch 5",
    "sweep": "'learning_rate': 0.3",
    "sweep_trials": "'learning_rate': 0.3",
}
"""Results of some examples."""


def test_example_of_pytest_passes() -> None:
    """The tests of the example are real tests, with a server each."""
    # pytest cannot rewrite the modules that the interpreter has loaded before, and would warn.
    options = ["-q", "-p", "no:cacheprovider", "--assert=plain"]
    output = run([sys.executable, "-m", "pytest", "examples/test_training.py", *options], ROOT, os.environ)

    assert "3 passed" in output


def test_runner_shows_the_runs_of_an_example(tmp_path: Path) -> None:
    """`hatch run example self_hosted` starts a server, and reads the run back."""
    command = [sys.executable, "scripts/example.py", "self_hosted", "--data-dir", str(tmp_path)]
    output = run(command, ROOT, os.environ)

    assert re.search("│ [a-z0-9-]+ │ finished │ 10 .* loss=0.1 ", output), output
