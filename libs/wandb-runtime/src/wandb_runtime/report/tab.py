"""The tab "Weights & Biases" of a task's Flyte report."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wandb_runtime.report.page import LIBRARY_MARKER, render_library, render_section
from wandb_runtime.tasks.shutdown import is_stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_runtime.config.report import ReportRequest
    from wandb_runtime.report.section import Section

TAB = "Weights & Biases"


def add_section(request: ReportRequest, build: Callable[[], Section], *, what: str, has_failed: bool) -> None:
    """Add a section to the tab of the current task, and upload the report if Flyte does not. Blocks; never raises.

    Args:
        request: The requested tab.
        build: Makes the section.
        what: What the section is about, for warnings.
        has_failed: Whether the task's body has raised: Flyte uploads the reports of the other tasks only.
    """
    if is_stopping():
        # A pod that is being stopped is killed soon.
        return
    try:
        _add(render_section(build()))
        if has_failed or not request.is_uploaded_by_flyte:
            _upload()
    except Exception as error:  # noqa: BLE001
        logging.getLogger("wandb_runtime").warning(
            "The Flyte report lacks %s (%s: %s). The task is not affected", what, type(error).__name__, error
        )


def _add(html: str) -> None:
    import flyte.report

    tab = flyte.report.get_tab(TAB)
    if LIBRARY_MARKER not in tab.get_html():
        tab.log(render_library())
    tab.log(html)


def _upload() -> None:
    import flyte.report

    flyte.report.flush()
