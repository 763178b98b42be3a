"""The section of a run in a Flyte report."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wandb_artifacts import DownloadError, RunRef
from wandb_artifacts.client import Client

from wandb_runtime.config.report import MAX_CHARTS
from wandb_runtime.report.history import logged_metrics, read_charts
from wandb_runtime.report.section import LineChart, Section, value_table
from wandb_runtime.report.tab import add_section
from wandb_runtime.tasks.threads import submit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wandb import Run
    from wandb_artifacts.client import Connection, RunSnapshot

    from wandb_runtime.config.report import ReportRequest

# Seconds: a report must not hold up its task.
_FOR_REQUESTS = 10.0
_FOR_LOCAL_VALUES = 5.0

_OFFLINE = "The run is offline: it has no charts until `wandb sync` has uploaded it."
_UNREACHABLE = "W&B could not be read, so the charts are missing: {error}"
_NOT_FOUND = "W&B does not have this run, so the charts are missing."
_MORE = "{shown} of {all} metrics are drawn. Choose others with report=[...]."
_NO_VALUES = "Without logged numbers, and not drawn: {names}."


@dataclass(frozen=True)
class LocalRunValues:
    """The values of a run that this process knows, read before the run is closed."""

    ref: RunRef | None
    """None for a run that has no place at W&B."""
    id: str
    name: str | None
    is_offline: bool
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> LocalRunValues:
        """Read the values of an open run."""
        has_place = bool(run.entity and run.project) and not run.offline
        ref = RunRef(run.entity, run.project, run.id, run.settings.base_url) if has_place else None
        return cls(ref, run.id, run.name, run.offline, _bounded_copy(run, "config"), _bounded_copy(run, "summary"))


def _bounded_copy(run: Run, attribute: str) -> dict[str, Any]:
    """Copy the config or the summary; empty if the SDK's service process does not respond."""
    with contextlib.suppress(Exception):
        values: dict[str, Any] = submit(lambda: _plain(getattr(run, attribute))).result(_FOR_LOCAL_VALUES)
        return values
    return {}


def _plain(values: Any) -> Any:
    """Convert the SDK's mappings, which are not dictionaries, to dictionaries."""
    if isinstance(values, Mapping) or hasattr(values, "keys"):
        return {str(key): _plain(values[key]) for key in list(values.keys())}
    return values


@contextlib.contextmanager
def reported(run: Run, connection: Connection | None, request: ReportRequest, exit_code: int) -> Iterator[None]:
    """Close a run inside the block, and add its section to the task's report after it. Never raises.

    Args:
        run: The run object, which may have ended.
        connection: How the server is reached; None for the server of the run.
        request: The requested tab.
        exit_code: The exit code of the task's body.
    """
    local = None if run.disabled else LocalRunValues.of(run)
    yield
    if local is not None:
        build = functools.partial(run_section, local, connection, request.metrics, exit_code=exit_code)
        add_section(request, build, what=f"W&B run {local.id}", has_failed=exit_code != 0)


def run_section(
    local: LocalRunValues, connection: Connection | None, metrics: Sequence[str] | None, *, exit_code: int
) -> Section:
    """Return the section of a run: what W&B has, else what is known locally, and why.

    Args:
        local: What this process knows.
        connection: How the server is reached; None for the server of the run.
        metrics: The metrics to draw; None for the first ones by name.
        exit_code: The exit code of the task's body.
    """
    if local.ref is None:
        return _local_section(local, _OFFLINE if local.is_offline else _NOT_FOUND, exit_code)
    client = Client(connection or local.ref.host, timeout=_FOR_REQUESTS)
    try:
        run = client.find_run(local.ref)
        if run is None:
            return _local_section(local, _NOT_FOUND, exit_code)
        charts, notes = _charts(client, local.ref, metrics)
    except DownloadError as error:
        return _local_section(local, _UNREACHABLE.format(error=error), exit_code)
    return _remote_section(local.ref, run, charts, notes)


def _charts(client: Client, ref: RunRef, metrics: Sequence[str] | None) -> tuple[list[LineChart], list[str]]:
    candidates = logged_metrics(client, ref) if metrics is None else metrics
    charts = read_charts(client, ref, candidates)
    if metrics is None:
        count = len(candidates)
        return charts, [_MORE.format(shown=len(charts), all=count)] if count > MAX_CHARTS else []
    lacking = [name for name in metrics if name not in {chart.title for chart in charts}]
    return charts, [_NO_VALUES.format(names=", ".join(lacking))] if lacking else []


def _remote_section(ref: RunRef, run: RunSnapshot, charts: list[LineChart], notes: list[str]) -> Section:
    facts = {
        "Run": str(ref),
        "Group": run.group,
        "Job type": run.job_type,
        "Tags": ", ".join(run.tags),
        "Logged rows": str(run.line_count) if run.line_count else None,
    }
    if not charts and not notes:
        notes = ["The run has logged no numbers to draw."]
    return Section(
        title=run.name or ref.id,
        url=ref.url,
        state=run.state,
        facts=tuple((label, text) for label, text in facts.items() if text),
        notes=tuple(notes),
        charts=tuple(charts),
        tables=(value_table("Summary", _summary(run)), value_table("Config", run.config)),
    )


def _summary(run: RunSnapshot) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError):
        if isinstance(values := json.loads(run.summary), dict):
            return values
    return {}


def _local_section(local: LocalRunValues, note: str, exit_code: int) -> Section:
    state = "failed" if exit_code else "finished"
    return Section(
        title=local.name or local.id,
        url=None if local.ref is None else local.ref.url,
        state=f"{state} (offline)" if local.is_offline else state,
        facts=(("Run", local.id if local.ref is None else str(local.ref)),),
        notes=(note,),
        tables=(value_table("Summary", local.summary), value_table("Config", local.config)),
    )
