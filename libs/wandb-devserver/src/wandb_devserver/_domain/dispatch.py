"""What an agent that reports to its sweep is told to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._storage import _agents, _early_stopping, _projects, _results, _sweeps, _trials
from wandb_devserver._sweeps._bayes import propose
from wandb_devserver._sweeps._config import parse_config
from wandb_devserver._sweeps._search import draw, next_point

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from wandb_devserver._json import Json, JsonObject
    from wandb_devserver._storage._agents import StoredAgent
    from wandb_devserver._storage._sweeps import StoredSweep
    from wandb_devserver._storage._trials import StoredTrial
    from wandb_devserver._sweeps._config import SweepConfig

    Slowly = Callable[[Callable[[sqlite3.Connection], JsonObject]], JsonObject]


@dataclass(frozen=True, slots=True)
class Command:
    """One entry of the list that an agent gets in answer to its heartbeat."""

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
# Such a run goes on with the next agent.
_PREEMPTED = ("preempting", "preempted")


def next_command(
    connection: sqlite3.Connection, sweep: StoredSweep, agent: StoredAgent, running: set[str], slowly: Slowly
) -> Command | None:
    """Note an agent's sign of life and return what it is to do now; None when it is to go on.

    Args:
        connection: a connection that may write.
        sweep: what the agent works for.
        agent: who reports.
        running: ids of the runs that the agent says are queued or running.
        slowly: calls what takes too long for this transaction with a connection to read by; returns its result.
    """
    _agents.beat(connection, agent)
    config = parse_config(sweep.config)
    if sweep.state == _sweeps.CANCELED:
        for trial in _trials.of_agent(connection, agent.id):
            if trial.is_open:
                _trials.stop(connection, trial)
    unheard = _note(connection, agent, running)
    settle(connection, sweep.id)
    _early_stopping.mark(connection, sweep, config, agent)
    for trial in _trials.of_agent(connection, agent.id):
        if trial.name in running and trial.stopping:
            return Command("stop", trial)
    if running:
        return None
    return _next_trial(connection, sweep, agent, unheard, config, slowly)


def settle(connection: sqlite3.Connection, sweep_id: int) -> None:
    """Finish a sweep when nothing is left to do for it."""
    sweep = _sweeps.find_by_id(connection, sweep_id)
    if sweep is None or sweep.state != _sweeps.RUNNING:
        return
    trials = _trials.of_sweep(connection, sweep.id)
    if any(trial.is_open or trial.state in _PREEMPTED for trial in trials):
        return
    if _is_exhausted(connection, sweep, parse_config(sweep.config)):
        _sweeps.edit(connection, sweep, _sweeps.SweepChanges(state=_sweeps.FINISHED))


def _note(connection: sqlite3.Connection, agent: StoredAgent, running: set[str]) -> StoredTrial | None:
    """Note which trials the agent has, and has done with; return the one it may never have heard of."""
    unheard = None
    for trial in _trials.of_agent(connection, agent.id):
        if trial.name in running:
            _trials.report(connection, trial)
        elif trial.state == "pending" and not (trial.reported or trial.repeated or trial.released or trial.stopping):
            # Either the answer was lost, or the program ended before wandb.init(): the former must not lose a trial.
            unheard = trial
        elif not trial.released:
            _trials.release(connection, trial)
    return unheard


def _next_trial(
    connection: sqlite3.Connection,
    sweep: StoredSweep,
    agent: StoredAgent,
    unheard: StoredTrial | None,
    config: SweepConfig,
    slowly: Slowly,
) -> Command | None:
    if sweep.state == _sweeps.PAUSED:
        return None
    if sweep.state in (_sweeps.FINISHED, _sweeps.CANCELED):
        return _exit(connection, agent)
    if unheard:
        _trials.repeat(connection, unheard)
        return Command("run", unheard, config.program)
    for trial in _trials.of_sweep(connection, sweep.id):
        if trial.state == "preempted":
            _trials.hand_over(connection, trial, agent)
            return Command("resume", trial, config.program)
    parameters = _choose(connection, sweep, config, slowly)
    if parameters is None:
        return _exit(connection, agent)
    project = _projects.find_by_id(connection, sweep.project_id)
    assert project is not None
    return Command("run", _trials.create(connection, project, sweep, agent, parameters), config.program)


def _exit(connection: sqlite3.Connection, agent: StoredAgent) -> Command:
    _agents.dismiss(connection, agent)
    return EXIT


def _choose(
    connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig, slowly: Slowly
) -> JsonObject | None:
    if _is_capped(connection, sweep, config):
        return None
    if config.method == "grid":
        return next_point(config.parameters, _results.tried(connection, sweep))
    if config.method == "random":
        return draw(config.parameters)
    return slowly(lambda reader: propose(config, _results.results(reader, sweep, config)))


def _is_capped(connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig) -> bool:
    if config.run_cap is not None and _trials.count(connection, sweep.id) >= config.run_cap:
        return True
    metric = config.metric
    if metric is None or metric.target is None:
        return False
    return any(metric.reaches_target(value) for value in _results.summary_values(connection, sweep, metric.name))


def _is_exhausted(connection: sqlite3.Connection, sweep: StoredSweep, config: SweepConfig) -> bool:
    if _is_capped(connection, sweep, config):
        return True
    return config.method == "grid" and next_point(config.parameters, _results.tried(connection, sweep)) is None
