"""The section of a run in a Flyte report, of rows that no SDK has logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import RunRef
from wandb_devserver import DevServer, Fault
from wandb_runtime.report.run import LocalRunValues, run_section
from wandb_runtime.report.section import Section

from tests.wandb_artifacts.wandb_backend import ENTITY, open_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with DevServer() as server:
        yield server


@pytest.fixture
def project(server: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbBackend]:
    with open_project(monkeypatch, tmp_path, server, "reports") as project:
        yield project


def read(project: WandbBackend, run: str, metrics: Sequence[str] | None = None) -> Section:
    """Return the section of a run at W&B."""
    ref = RunRef(ENTITY, project.project, run, project.server.url)
    local = LocalRunValues(ref, run, None, is_offline=False, config={"lr": 1}, summary={"loss": 2})
    return run_section(local, None, metrics, exit_code=1)


def titles(section: Section) -> list[str]:
    return [chart.title for chart in section.charts]


def test_first_twelve_metrics_are_drawn(project: WandbBackend) -> None:
    """By name, without texts and W&B's internal numbers."""
    row = {f"m{number:02}": 1.5 for number in range(14)} | {"_runtime": 1, "text": "a"}
    project.run("many", rows=[row, row], summary={"loss": 1})
    section = read(project, "many")

    assert titles(section) == [f"m{number:02}" for number in range(12)]
    assert section.charts[0].data()["points"] == ((0, 1.5), (1, 1.5))
    assert section.notes == ("12 of 14 metrics are drawn. Choose others with report=[...].",)
    assert section.state == "finished"
    assert ("Run", "local/reports/many") in section.facts


def test_named_metrics_are_drawn(project: WandbBackend) -> None:
    """Those without numbers are listed; points that are not finite are gaps."""
    project.run("named", rows=['{"_step": 0, "b": NaN, "a": 1, "t": "x"}', '{"_step": 5, "b": 2}'])
    section = read(project, "named", ["t", "b", "missing"])

    assert titles(section) == ["b"]
    assert section.charts[0].data()["points"] == ((0, None), (5, 2.0))
    assert section.notes == ("Without logged numbers, and not drawn: t, missing.",)


def test_long_history_is_sampled(project: WandbBackend) -> None:
    project.run("long", rows=({"loss": step} for step in range(1000)))
    (chart,) = read(project, "long").charts

    assert len(chart.data()["points"]) <= 300


@pytest.mark.parametrize("operation", ["RunSnapshot", "HistoryKeys", "RunSampledHistory"])
def test_local_values_are_shown_where_w_and_b_refuses(project: WandbBackend, operation: str) -> None:
    """The state is that of the task."""
    project.run("refused", rows=[{"loss": 1}])
    project.server.faults.add(Fault("graphql", operation=operation, status=400, count=None))
    section = read(project, "refused")
    project.server.faults.clear()

    assert section.state == "failed"
    assert section.charts == ()
    assert "W&B could not be read, so the charts are missing" in section.notes[0]
    assert [table.rows for table in section.tables] == [(("loss", "2"),), (("lr", "1"),)]


def test_missing_run_shows_local_values(project: WandbBackend) -> None:
    section = read(project, "missing")

    assert section.notes == ("W&B does not have this run, so the charts are missing.",)
    assert [table.rows for table in section.tables] == [(("loss", "2"),), (("lr", "1"),)]
