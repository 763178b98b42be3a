"""Parameters and metric values of a sweep's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_devserver._documents import lookup, plain_config
from wandb_devserver._json import is_number, loads_object
from wandb_devserver._search.bayes import Result
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import trials as trial_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from wandb_devserver._json import JsonObject
    from wandb_devserver._search.config import SweepConfig
    from wandb_devserver._storage.runs import StoredRun
    from wandb_devserver._storage.sweeps import StoredSweep


def runs(connection: sqlite3.Connection, sweep: StoredSweep) -> list[StoredRun]:
    """Return the runs of a sweep, also those that it did not start, oldest first."""
    return run_table.of_sweep(connection, sweep.project_id, sweep.name)


def tried(connection: sqlite3.Connection, sweep: StoredSweep) -> list[JsonObject]:
    """Return the configurations that need no trial any more."""
    trials = {trial.run_id: trial.parameters for trial in trial_table.of_sweep(connection, sweep.id)}
    # A program may change its configuration; what it was started with counts.
    others = [plain_config(loads_object(run.config)) for run in runs(connection, sweep) if run.id not in trials]
    return [*trials.values(), *others]


def results(connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig) -> list[Result]:
    """Return what a search can learn from the runs of a sweep."""
    assert config.metric is not None
    parameters = {trial.run_id: trial.parameters for trial in trial_table.of_sweep(connection, sweep.id)}
    return [
        Result(
            run.state,
            parameters.get(run.id) or plain_config(loads_object(run.config)),
            list(logged_values(connection, run.id, config.metric.name)),
        )
        for run in runs(connection, sweep)
    ]


def summary_values(connection: sqlite3.Connection, sweep: StoredSweep, metric: str) -> list[float]:
    """Return the value that each run of a sweep has last, where it has one."""
    found = [lookup(loads_object(run.summary), metric) for run in runs(connection, sweep)]
    return [value for value in found if is_number(value)]


def logged_values(connection: sqlite3.Connection, run_id: int, metric: str) -> Iterator[float]:
    """Yield the finite values of a metric that a run logged, in order."""
    for _, text in line_table.read(connection, run_id, "history"):
        value = lookup(loads_object(text), metric)
        if is_number(value):
            yield value
