"""The tab of a task's Flyte report, in Flyte's local mode."""

from __future__ import annotations

import html
import logging
import uuid
from pathlib import Path
from typing import Any

import flyte
import flyte.errors
import flyte.report
import pytest
import wandb
from flyteplugins.wandb import (
    get_wandb_run,
    get_wandb_sweep_id,
    wandb_config,
    wandb_init,
    wandb_sweep,
    wandb_sweep_config,
)
from wandb_devserver import DevServer

env = flyte.TaskEnvironment(name="e2e_reports")

# Flyte does not close the template of its reports.
pytestmark = pytest.mark.filterwarnings("ignore:.*_template.html:pytest.PytestUnraisableExceptionWarning")

CONTEXT = wandb_config(project="reports")
HOSTILE = "<img src=x onerror=alert(1)>"


def report_of(task: Any, context: dict[str, str] | None = None, *, error: str | None = None) -> str:
    """Run a task and return the report that was uploaded; an empty text if none was."""
    flyte.init()
    name = f"report-{uuid.uuid4().hex[:12]}"
    runner = flyte.with_runcontext(mode="local", name=name, custom_context={**CONTEXT, **(context or {})})
    if error is None:
        runner.run(task)
    else:
        with pytest.raises(flyte.errors.RuntimeUserError, match=error):
            runner.run(task)
    # Flyte has no other way to read a report of its local mode.
    found = [path for path in Path("/tmp/flyte/metadata", name).rglob("report.html") if path.is_file()]
    return found[0].read_text() if found else ""


def titles(page: str) -> list[str]:
    """Return the titles of the charts on a page."""
    return [html.unescape(part.partition("<")[0]) for part in page.split("<figcaption>")[1:]]


@wandb_init(config={"lr": 0.1, HOSTILE: {"nested": HOSTILE}}, name=HOSTILE)
@env.task(report=True)
async def reporting() -> None:
    flyte.report.get_tab("Own").log("the user's tab")
    run = get_wandb_run(required=True)
    for step in range(5):
        run.log({f"metric/{number:02}": step * number for number in range(14)} | {"text": "no number"})


def test_run_is_reported_when_its_task_has_ended(wandb_devserver: DevServer) -> None:
    """The page has the state of the end, the link, config, summary, and at most 12 charts; the body's tabs stay."""
    page = report_of(reporting)
    (run,) = wandb_devserver.runs("local/reports")

    assert "the user's tab" in page
    assert run.url in page
    assert f"local/reports/{run.id}" in page
    assert 'data-state="finished"' in page
    assert "<td>lr</td><td>0.1</td>" in page
    assert "<td>metric/13</td><td>52</td>" in page
    assert titles(page) == [f"metric/{number:02}" for number in range(12)]
    assert "12 of 14 metrics are drawn" in page
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page


@wandb_init
@env.task(report=True)
def failing() -> None:
    get_wandb_run(required=True).log({"loss": 1})
    msg = "the body's own"
    raise ValueError(msg)


def test_failed_task_is_reported(wandb_devserver: DevServer) -> None:
    page = report_of(failing, error="the body's own")

    assert 'data-state="failed"' in page
    assert titles(page) == ["loss"]


@wandb_init(config={"lr": 0.1})
@env.task
async def plain() -> None:
    get_wandb_run(required=True).log({"loss": 0.25})


@wandb_init(report=False)
@env.task(report=True)
async def silent() -> None:
    get_wandb_run(required=True).log({"loss": 1})


def test_report_is_off_by_default_and_on_request(wandb_devserver: DevServer) -> None:
    """The configuration turns it on where the task has none; the decorator's False turns it off."""
    assert report_of(plain) == ""
    assert titles(report_of(plain, wandb_config(report=True))) == ["loss"]
    assert report_of(silent, wandb_config(report=True)) == ""


@pytest.mark.parametrize(("rank", "charts"), [("0", ["loss"]), ("1", [])])
def test_first_rank_reports_its_run(
    rank: str, charts: list[str], wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rank has a run, and all of them one report file."""
    layout = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
    for name, value in {**layout, "GROUP_WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "test"}.items():
        monkeypatch.setenv(name, value)

    assert titles(report_of(plain, wandb_config(report=True, run_mode="new"))) == charts
    assert len(wandb_devserver.runs("local/reports")) == 1


def test_offline_run_shows_local_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page states why it has no charts."""
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    page = report_of(plain, wandb_config(report=True, mode="offline"))

    assert titles(page) == []
    assert "The run is offline" in page
    assert "<td>loss</td><td>0.25</td>" in page
    assert "<td>lr</td><td>0.1</td>" in page


@wandb_init
@env.task
async def blocked() -> None:
    """Puts a folder where Flyte writes the report."""
    get_wandb_run(required=True).log({"loss": 1})
    (Path(flyte.ctx().output_path) / "report.html").mkdir(parents=True)


def test_report_that_cannot_be_made_is_a_warning(wandb_devserver: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    """Its upload fails; the task succeeds."""
    with caplog.at_level(logging.WARNING, "wandb_runtime"):
        report_of(blocked, wandb_config(report=True))

    assert "The Flyte report lacks W&B run" in caplog.text


@wandb_init
def objective() -> None:
    run = get_wandb_run(required=True)
    for step in range(3):
        run.log({"loss": run.config["lr"] * (3 - step)})


@wandb_init
@wandb_sweep
@env.task(report=True)
async def searching() -> None:
    sweep_id = get_wandb_sweep_id()
    assert sweep_id is not None
    get_wandb_run(required=True).log({"controller": 1})
    wandb.agent(sweep_id, function=objective, count=2)


# The SDK does not close the file with the parameters of a trial.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*sweep-:pytest.PytestUnraisableExceptionWarning")
def test_sweep_is_reported_beside_the_run(wandb_devserver: DevServer) -> None:
    """One tab has both, and the charting library once."""
    config = wandb_sweep_config(
        method="grid",
        metric={"name": "loss", "goal": "minimize"},
        parameters={"lr": {"values": [0.1, 0.2]}, "seed": {"value": 1}},
        project="reports",
    )
    page = report_of(searching, config)

    assert page.count("data-wandb-report-library") == 1
    assert sorted(titles(page)) == ["Parallel coordinates", "controller", "loss"]
    assert page.count("<td>finished</td>") == 2
    assert "loss 0.1" in page
    assert "lr=0.1" in page
