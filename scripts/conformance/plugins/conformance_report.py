"""pytest plugin: writes one JSON line per phase of a test to the file that CONFORMANCE_REPORT names.

It is loaded into wandb's tests and changes neither what they do nor what they assert.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class _Writer:
    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def _write(self, **entry: object) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(
            id=report.nodeid,
            when=report.when,
            outcome=report.outcome,
            xfail=hasattr(report, "wasxfail"),
            seconds=round(report.duration, 2),
            text="" if report.outcome == "passed" else report.longreprtext,
            output=[(name, text[-8000:]) for name, text in report.sections] if report.outcome == "failed" else [],
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            self._write(id=report.nodeid, when="collect", outcome=report.outcome, xfail=False, text=report.longreprtext)


def pytest_configure(config: pytest.Config) -> None:
    # A worker of xdist sends its reports to the main process, which writes them.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(os.environ["CONFORMANCE_REPORT"]))
