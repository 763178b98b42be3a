"""Commands for sweep agents: run, resume, stop or exit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._domain import early_stopping
from wandb_devserver._domain import results as sweep_results
from wandb_devserver._search.bayes import propose
from wandb_devserver._search.config import parse_config
from wandb_devserver._search.points import draw, next_point
from wandb_devserver._storage import agents as agent_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import sweeps as sweep_table
from wandb_devserver._storage import trials as trial_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from wandb_devserver._json import Json, JsonObject
    from wandb_devserver._search.config import SweepConfig
    from wandb_devserver._storage.agents import StoredAgent
    from wandb_devserver._storage.sweeps import StoredSweep
    from wandb_devserver._storage.trials import StoredTrial

    Slowly = Callable[[Callable[[sqlite3.Connection], JsonObject]], JsonObject]


@dataclass(frozen=True, slots=True)
class Command:
    """One entry of the list in the response to a heartbeat of an agent."""

    type: str
    trial: StoredTrial | None = None
    program: str | None = None

    def as_json(self) -> JsonObject:
        if self.trial is None:
            return {"type": self.type}
        if self.type == "stop":
            return {"type": "stop", "run_id": self.trial.name}
        arguments: dict[str, Json] = {key: {"value": value} for key, value in self.trial.parameters.items()}
        return {"type": self.type, "run_id": self.trial.name, "program": self.program, "args": arguments}


EXIT = Command("exit")
# The next agent continues such a run.
_PREEMPTED = ("preempting", "preempted")


def next_command(
    connection: sqlite3.Connection, sweep: StoredSweep, agent: StoredAgent, running: set[str], slowly: Slowly
) -> Command | None:
    """Record an agent's heartbeat and return its next command; None if it continues.

    Args:
        connection: a connection that may write.
        sweep: the sweep of the agent.
        agent: the agent that sent the heartbeat.
        running: ids of the runs that the agent reports as queued or running.
        slowly: calls work that takes too long for this transaction with a read connection, and returns its result.
    """
    agent_table.beat(connection, agent)
    config = parse_config(sweep.config)
    if sweep.state == sweep_table.CANCELED:
        for trial in trial_table.of_agent(connection, agent.id):
            if trial.is_open:
                trial_table.stop(connection, trial)
    unheard = _note(connection, agent, running)
    settle(connection, sweep.id)
    early_stopping.mark(connection, sweep, config, agent)
    for trial in trial_table.of_agent(connection, agent.id):
        if trial.name in running and trial.stopping:
            return Command("stop", trial)
    if running:
        return None
    return _next_trial(connection, sweep, agent, unheard, config, slowly)


def settle(connection: sqlite3.Connection, sweep_id: int) -> None:
    """Finish a sweep that has nothing left to run."""
    sweep = sweep_table.find_by_id(connection, sweep_id)
    if sweep is None or sweep.state != sweep_table.RUNNING:
        return
    trials = trial_table.of_sweep(connection, sweep.id)
    if any(trial.is_open or trial.state in _PREEMPTED for trial in trials):
        return
    if _is_exhausted(connection, sweep, parse_config(sweep.config)):
        sweep_table.edit(connection, sweep, sweep_table.SweepChanges(state=sweep_table.FINISHED))


def _note(connection: sqlite3.Connection, agent: StoredAgent, running: set[str]) -> StoredTrial | None:
    """Record which trials the agent runs and which it has finished; return one that it may never have received."""
    unheard = None
    for trial in trial_table.of_agent(connection, agent.id):
        if trial.name in running:
            trial_table.report(connection, trial)
        elif trial.state == "pending" and not (trial.reported or trial.repeated or trial.released or trial.stopping):
            # Either the response was lost, or the program ended before wandb.init(): the former must not lose a trial.
            unheard = trial
        elif not trial.released:
            trial_table.release(connection, trial)
    return unheard


def _next_trial(
    connection: sqlite3.Connection,
    sweep: StoredSweep,
    agent: StoredAgent,
    unheard: StoredTrial | None,
    config: SweepConfig,
    slowly: Slowly,
) -> Command | None:
    if sweep.state == sweep_table.PAUSED:
        return None
    if sweep.state in (sweep_table.FINISHED, sweep_table.CANCELED):
        return _exit(connection, agent)
    if unheard:
        trial_table.repeat(connection, unheard)
        return Command("run", unheard, config.program)
    for trial in trial_table.of_sweep(connection, sweep.id):
        if trial.state == "preempted":
            trial_table.hand_over(connection, trial, agent)
            return Command("resume", trial, config.program)
    parameters = _choose(connection, sweep, config, slowly)
    if parameters is None:
        return _exit(connection, agent)
    project = project_table.find_by_id(connection, sweep.project_id)
    assert project is not None
    return Command("run", trial_table.create(connection, project, sweep, agent, parameters), config.program)


def _exit(connection: sqlite3.Connection, agent: StoredAgent) -> Command:
    agent_table.dismiss(connection, agent)
    return EXIT


def _choose(
    connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig, slowly: Slowly
) -> JsonObject | None:
    if _is_capped(connection, sweep, config):
        return None
    if config.method == "grid":
        return next_point(config.parameters, sweep_results.tried(connection, sweep))
    if config.method == "random":
        return draw(config.parameters)
    return slowly(lambda reader: propose(config, sweep_results.results(reader, sweep, config)))


def _is_capped(connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig) -> bool:
    if config.run_cap is not None and trial_table.count(connection, sweep.id) >= config.run_cap:
        return True
    metric = config.metric
    if metric is None or metric.target is None:
        return False
    return any(metric.reaches_target(value) for value in sweep_results.summary_values(connection, sweep, metric.name))


def _is_exhausted(connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig) -> bool:
    if _is_capped(connection, sweep, config):
        return True
    return config.method == "grid" and next_point(config.parameters, sweep_results.tried(connection, sweep)) is None
