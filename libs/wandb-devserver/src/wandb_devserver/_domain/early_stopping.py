"""Early termination of trials."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from wandb_devserver._domain import results as sweep_results
from wandb_devserver._storage import trials as trial_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from wandb_devserver._search.config import SweepConfig
    from wandb_devserver._storage.agents import StoredAgent
    from wandb_devserver._storage.sweeps import StoredSweep


def mark(connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig, agent: StoredAgent) -> None:
    """Mark the trials of an agent that are not worth going on with."""
    rule, metric = config.early_terminate, config.metric
    if rule is None or metric is None:
        return
    sign = -1 if metric.maximize else 1

    def values(run_id: int) -> Iterator[float]:
        return (sign * value for value in sweep_results.logged_values(connection, run_id, metric.name))

    def values_at(step: int) -> list[float]:
        reached = (list(islice(values(run.id), step - 1, step)) for run in sweep_results.runs(connection, sweep))
        return [value for found in reached for value in found]

    for trial in trial_table.of_agent(connection, agent.id):
        if trial.is_open and not trial.stopping and rule.stops(list(values(trial.run_id)), values_at):
            trial_table.stop(connection, trial)
