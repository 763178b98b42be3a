"""Sampled history of a run, as W&B's own charts request it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wandb_runtime.config.report import MAX_CHARTS
from wandb_runtime.report.section import LineChart, finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wandb_artifacts import RunRef
    from wandb_artifacts.client import Client

_SAMPLES = 300

_KEYS = """
query HistoryKeys($entity: String!, $project: String!, $run: String!) {
  project(name: $project, entityName: $entity) { run(name: $run) { historyKeys } }
}
"""
_SAMPLED = """
query RunSampledHistory($entity: String!, $project: String!, $run: String!, $specs: [JSONString!]!) {
  project(name: $project, entityName: $entity) { run(name: $run) { sampledHistory(specs: $specs) } }
}
"""


def logged_metrics(client: Client, ref: RunRef) -> list[str]:
    """Return the names of the numbers that a run has logged, without W&B's internal ones."""
    keys = (_of_run(client, ref, _KEYS).get("historyKeys") or {}).get("keys") or {}
    return sorted(key for key, found in keys.items() if not key.startswith("_") and _is_number(found))


def _is_number(found: Mapping[str, Any]) -> bool:
    return any(kind.get("type") == "number" for kind in found.get("typeCounts") or ())


def read_charts(client: Client, ref: RunRef, metrics: Sequence[str]) -> list[LineChart]:
    """Return a chart for each metric that has numbers, of rows that W&B has sampled; at most `MAX_CHARTS`."""
    wanted = list(metrics[:MAX_CHARTS])
    if not wanted:
        return []
    specs = [json.dumps({"keys": ["_step", metric], "samples": _SAMPLES}) for metric in wanted]
    sampled = _of_run(client, ref, _SAMPLED, specs=specs).get("sampledHistory") or []
    charts = [_chart(metric, rows) for metric, rows in zip(wanted, sampled, strict=False)]
    return [chart for chart in charts if any(value is not None for _, value in chart.points)]


def _chart(metric: str, rows: Sequence[Mapping[str, Any]]) -> LineChart:
    steps = [(finite(row.get("_step")), finite(row.get(metric))) for row in rows]
    return LineChart(metric, tuple((step, value) for step, value in steps if step is not None))


def _of_run(client: Client, ref: RunRef, document: str, **more: object) -> Mapping[str, Any]:
    variables = {"entity": ref.entity, "project": ref.project, "run": ref.id, **more}
    found = client.execute(document, variables, what=f"the history of run {ref}")
    return (found.get("project") or {}).get("run") or {}
