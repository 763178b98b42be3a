"""The tab of a Flyte report, read back through the control plane and opened in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyteplugins.wandb import wandb_sweep_config

from tests.remote.support import CONTEXT, run_of
from tests.support.browser import chromium

if TYPE_CHECKING:
    from pathlib import Path

    from wandb_devserver import DevServer

    from tests.support.control_plane.plane import ControlPlane

__all__ = ["chromium"]

HOSTILE = "<img src=x onerror=alert(1)>"
"""The same as in `reporting.py`."""

SWEEP = wandb_sweep_config(
    method="grid",
    metric={"name": "loss", "goal": "minimize"},
    parameters={"layers": {"values": [1, 2]}, "kind": {"values": [HOSTILE]}},
)


def test_report_is_drawn_in_a_browser_without_requests(
    chromium: Any, plane: ControlPlane, wandb_devserver: DevServer, tmp_path: Path
) -> None:
    """Run and sweep, with lines, bars and parallel coordinates; hostile names and values are texts."""
    flyte_run = plane.run(
        "reporting:reporting", context={**CONTEXT, **SWEEP}, then="reporting:read_report", timeout=110
    )
    run = run_of(flyte_run.root, wandb_devserver)
    file = tmp_path / "report.html"
    file.write_text(flyte_run.result, encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    problems: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    # Flyte's own template loads fonts.
    page.route("https://fonts.googleapis.com/**", lambda route: route.abort())
    page.goto(file.as_uri())
    page.wait_for_function("document.querySelectorAll('.wandb-report .chart:not([data-drawn])').length === 0")

    drawn = page.locator(".chart").evaluate_all(
        "charts => charts.map(chart => [chart.dataset.kind, chart.querySelectorAll('svg path').length > 3])"
    )
    assert sorted(drawn) == [["bar", True], ["line", True], ["line", True], ["parallel", True]]
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "https://fonts.googleapis.com/"))] == []
    assert page.locator(".wandb-report img").count() == 0
    assert page.get_by_role("cell", name=HOSTILE, exact=True).count() == 5
    assert page.locator("figcaption").get_by_text(HOSTILE).count() == 1
    assert page.locator(f'.wandb-report a[href="{run.url}"]').count() == 1
    page.close()
