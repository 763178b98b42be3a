"""HTML of a section, for a tab of a Flyte report.

Flyte puts the tabs into one document. The HTML is a fragment of that: it loads nothing, its styles apply to it alone,
and it works where the tab is hidden at first.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING

from wandb_runtime.report.section import Limits, Section

if TYPE_CHECKING:
    import jinja2

MAX_SECTION = 500_000
"""Bytes. A tab shows a run and a sweep at most: 1 MB beside the charting library."""

LIBRARY_MARKER = "data-wandb-report-library"
"""Part of the HTML of the charting library, which a tab needs once."""

_HALVINGS = 8


def render_section(section: Section) -> str:
    """Return the HTML of a section, with as many of its values as there is room for."""
    limits = Limits()
    for _ in range(_HALVINGS):
        html = _render("section.html", section=section.limited(limits))
        if len(html.encode()) <= MAX_SECTION:
            break
        limits = limits.halved()
    return html


def render_library() -> str:
    """Return the HTML of the style sheet, the charting library, and the script that draws the charts."""
    files = {"style": "report.css", "library": "vendor/echarts.js", "script": "report.js"}
    texts = {name: _static(path) for name, path in files.items()}
    return _render("library.html", marker=LIBRARY_MARKER, **texts)


def _static(path: str) -> str:
    return (resources.files("wandb_runtime.report") / "static" / path).read_text(encoding="utf-8")


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    # Imported with the first report: the import of the package must stay fast.
    import jinja2

    loader = jinja2.PackageLoader("wandb_runtime.report")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment
