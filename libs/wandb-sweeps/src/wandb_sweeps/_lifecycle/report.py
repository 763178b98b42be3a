"""The section of a sweep in a Flyte report."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from wandb_runtime.report.section import BarChart, Chart, ParallelChart, Section, Table, finite, text_of
from wandb_runtime.report.tab import add_section

from wandb_sweeps._results import SweepResult
from wandb_sweeps._server.lookup import SweepServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wandb_artifacts.client import Connection
    from wandb_runtime.config.report import ReportRequest

    from wandb_sweeps._location import SweepLocation
    from wandb_sweeps._results import Trial
    from wandb_sweeps._server.lookup import Sweep

_MAX_TRIALS = 1000
_MAX_PARAMETERS = 8
# Parameters of every sweep stand in its configuration as one of these; others are nested sections.
_KEYS_OF_A_VALUE = frozenset({"value", "values", "min", "max", "distribution", "mu"})


def add_sweep_report(
    location: SweepLocation, connection: Connection, request: ReportRequest, *, has_failed: bool
) -> None:
    """Add the section of a sweep to the report of the current task. Blocks; never raises.

    Args:
        location: The sweep.
        connection: How its server is reached.
        request: The requested tab.
        has_failed: Whether the task's body has raised.
    """
    build = functools.partial(_read_section, location, connection, request.metrics)
    add_section(request, build, what=f"W&B sweep {location.ref}", has_failed=has_failed)


def _read_section(location: SweepLocation, connection: Connection, metrics: Sequence[str] | None) -> Section:
    server = SweepServer(connection)
    sweep = server.look_up(location)
    trials = server.read_trials(location, {"sweep": location.id}, limit=_MAX_TRIALS + 1)
    return sweep_section(sweep, trials, metrics)


def sweep_section(sweep: Sweep, trials: Sequence[Trial], metrics: Sequence[str] | None) -> Section:
    """Return the section of a sweep.

    Args:
        sweep: The sweep.
        trials: Its trials, the oldest first.
        metrics: The metrics to draw over the trials; None for the one that the sweep optimizes.
    """
    shown = list(trials[:_MAX_TRIALS])
    names = list(metrics) if metrics is not None else [sweep.metric] if sweep.metric else []
    results = {name: _result(sweep, shown, name) for name in dict.fromkeys([*names, sweep.metric]) if name}
    bars = {name: _bars(results[name], is_optimized=name == sweep.metric) for name in names}
    charts: list[Chart] = [chart for chart in bars.values() if any(value is not None for _, value in chart.bars)]
    parameters = _parameters(sweep.config.get("parameters"))
    ranked = _result(sweep, shown, sweep.metric or next(iter(names), ""))
    if charts and parameters:
        charts.append(_parallel(ranked, parameters[:_MAX_PARAMETERS]))
    return Section(
        title=str(sweep.config.get("name") or sweep.location.id),
        url=sweep.location.ref.url,
        state=sweep.state,
        facts=tuple(_facts(sweep, ranked)),
        notes=tuple(_notes(sweep, trials, [name for name, chart in bars.items() if chart not in charts])),
        charts=tuple(charts),
        tables=(_leaderboard(ranked, list(results), parameters, results),),
    )


def _result(sweep: Sweep, trials: list[Trial], metric: str) -> SweepResult:
    ref = sweep.location.ref
    return SweepResult(str(ref), ref.url, sweep.state, trials, metric, sweep.goal)


def _bars(result: SweepResult, *, is_optimized: bool) -> BarChart:
    bars = tuple((trial.name, result.value_of(trial)) for trial in result.trials)
    return BarChart(result.metric, bars, result.goal == "maximize" if is_optimized else None)


def _parallel(result: SweepResult, parameters: Sequence[str]) -> ParallelChart:
    measured = [(trial, value) for trial in result.ranked if (value := result.value_of(trial)) is not None]
    lines = tuple(
        (trial.name, (*(_coordinate(_value(trial.config, name)) for name in parameters), value))
        for trial, value in measured
    )
    return ParallelChart("Parallel coordinates", (*parameters, result.metric), lines)


def _coordinate(value: object) -> float | str | None:
    number = finite(value)
    return number if number is not None or value is None else text_of(value)


def _parameters(section: object, prefix: str = "") -> list[str]:
    """Return the names of the parameters that differ between trials; those of nested sections are joined by dots."""
    names: list[str] = []
    for key, given in section.items() if isinstance(section, dict) else ():
        if not isinstance(given, dict):
            continue
        if isinstance(given.get("parameters"), dict):
            names += _parameters(given["parameters"], f"{prefix}{key}.")
        elif "value" not in given and given.keys() & _KEYS_OF_A_VALUE:
            names.append(f"{prefix}{key}")
    return names


def _value(config: dict[str, Any], name: str) -> Any:
    if name in config:
        return config[name]
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _facts(sweep: Sweep, result: SweepResult) -> list[tuple[str, str]]:
    counts = ", ".join(f"{count} {state}" for state, count in result.counts.items())
    facts = [("Sweep", str(sweep.location.ref)), ("Method", str(sweep.config.get("method") or "")), ("Trials", counts)]
    best = result.best
    if best is not None:
        facts.append(("Best trial", f"{best.name}: {result.metric} {text_of(result.value_of(best))}"))
        parameters = [(name, _value(best.config, name)) for name in _parameters(sweep.config.get("parameters"))]
        facts.append(("Its parameters", ", ".join(f"{name}={text_of(value)}" for name, value in parameters)))
    return [(label, text) for label, text in facts if text]


def _notes(sweep: Sweep, trials: Sequence[Trial], lacking: Sequence[str]) -> list[str]:
    notes = []
    if not trials:
        notes.append("The sweep has no trials.")
    elif lacking:
        notes.append(f"No trial has logged {', '.join(lacking)}.")
    elif not sweep.metric:
        notes.append("The sweep's configuration names no metric: draw some with report=[...].")
    if len(trials) > _MAX_TRIALS:
        notes.append(f"The sweep has more trials: these are the first {_MAX_TRIALS}.")
    return notes


def _leaderboard(
    ranked: SweepResult, metrics: Sequence[str], parameters: Sequence[str], results: dict[str, SweepResult]
) -> Table:
    rows = []
    for trial in ranked.ranked:
        values = [results[name].value_of(trial) for name in metrics]
        cells = [*values, *(_value(trial.config, name) for name in parameters)]
        rows.append((trial.name, trial.state, *("" if value is None else text_of(value) for value in cells)))
    return Table("Leaderboard", ("Trial", "State", *metrics, *parameters), tuple(rows))
