"""Log lines when a run opens: hints for users, and what is waited for."""

import logging
from pathlib import Path
from typing import Any

import flyte
import pytest
import wandb
from flyteplugins.wandb import UnavailableError, get_wandb_run, wandb_config, wandb_init
from wandb_artifacts.client import Connection
from wandb_devserver import DevServer, Fault
from wandb_runtime.lifecycle import hints
from wandb_runtime.lifecycle.opening import Patience, open_run

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_hints")


@wandb_init
@env.task
async def script() -> str:
    run = wandb.init(project="mine", config={"lr": 0.1})
    return run.id


@wandb_init
@env.task
async def plain() -> str:
    return get_wandb_run(required=True).id


@pytest.fixture(autouse=True)
def no_hint_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_given", set())


def test_moved_script_gets_one_hint_where_its_arguments_belong(
    wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        run_locally(script, context=wandb_config(project="e2e"))

    assert caplog.text.count("test_hints.script calls wandb.init(), which returns the run that @wandb_init has") == 1
    assert "ignores all arguments" in caplog.text


@pytest.mark.parametrize(("project", "hints"), [(None, 1), ("e2e", 0)])
def test_missing_project_is_named_once(
    project: str | None,
    hints: int,
    wandb_devserver: DevServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """`flyte run` skips the configuration below `if __name__ == "__main__"`. In a repository W&B takes its name."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run_locally(plain, context=wandb_config(project=project))

    assert caplog.text.count("no project is configured: set WANDB_PROJECT") == hints
    assert {run.project for run in wandb_devserver.runs()} == {project or "uncategorized"}


def open_at(host: str, patience: Patience) -> Any:
    settings = {"base_url": host, "console": "off"}
    return open_run({"project": "e2e", "id": "r"}, settings, Connection(host=host), patience)


def test_server_that_does_not_respond_is_given_up_early(
    wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Before that, a log line names the server. The error names its class and hides the SDK's traceback."""
    caplog.set_level(logging.WARNING, "wandb_runtime")
    patience = Patience(first=1.0, longest=3600.0, quiet=0.01)
    with pytest.raises(UnavailableError, match=r"nothing listens there.*\[UnavailableError\]$") as caught:
        open_at("http://127.0.0.1:9", patience)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "Waiting for W&B at http://127.0.0.1:9 to open run r; settings={'init_timeout'" in caplog.text


def test_server_that_fails_for_a_while_is_waited_for(wandb_devserver: DevServer) -> None:
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", count=2, status=503))
    run = open_at(wandb_devserver.url, Patience(first=1.0, longest=60.0))
    run.finish()

    assert wandb_devserver.run("local/e2e/r").state == "finished"
