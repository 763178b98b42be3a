"""Table of trials: the runs that a sweep assigned to its agents."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._json import dumps, loads_object
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage.names import display_name, short_id

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._json import JsonObject
    from wandb_devserver._storage.agents import StoredAgent
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.sweeps import StoredSweep

UNFINISHED = ("pending", "running", "preempting")

_QUERY = f"""SELECT run_id, agent_id, runs.name, runs.stop_requested, parameters, reported, repeated, released,
    stopping, {run_table.EFFECTIVE_STATE} AS state FROM trials JOIN runs ON runs.id = trials.run_id"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    run_id: int
    agent_id: int
    name: str
    """The run's id as users know it."""

    state: str
    """The run's state."""

    parameters: JsonObject
    reported: bool
    repeated: bool
    released: bool
    stopping: bool

    @property
    def is_open(self) -> bool:
        """Whether an agent runs it, or is about to."""
        return not self.released and self.state in UNFINISHED


def of_sweep(connection: sqlite3.Connection, sweep_id: int) -> list[StoredTrial]:
    return [_stored(row) for row in connection.execute(f"{_QUERY} WHERE sweep_id = ? ORDER BY run_id", (sweep_id,))]


def of_agent(connection: sqlite3.Connection, agent_id: int) -> list[StoredTrial]:
    return [_stored(row) for row in connection.execute(f"{_QUERY} WHERE agent_id = ? ORDER BY run_id", (agent_id,))]


def find(connection: sqlite3.Connection, run_id: int) -> StoredTrial | None:
    row = connection.execute(f"{_QUERY} WHERE run_id = ?", (run_id,)).fetchone()
    return _stored(row) if row else None


def count(connection: sqlite3.Connection, sweep_id: int) -> int:
    (total,) = connection.execute("SELECT COUNT(*) FROM trials WHERE sweep_id = ?", (sweep_id,)).fetchone()
    return int(total)


def sweep_of(connection: sqlite3.Connection, run_id: int) -> int | None:
    row = connection.execute("SELECT sweep_id FROM trials WHERE run_id = ?", (run_id,)).fetchone()
    return int(row["sweep_id"]) if row else None


def create(
    connection: sqlite3.Connection,
    project: StoredProject,
    sweep: StoredSweep,
    agent: StoredAgent,
    parameters: JsonObject,
) -> StoredTrial:
    """Make a run that waits for the agent to start it."""
    run = run_table.create(connection, project, short_id(), "pending")
    changes = run_table.RunChanges(
        display_name=display_name(count(connection, sweep.id) + 1, noun="sweep"),
        config=dumps({key: {"value": value} for key, value in parameters.items()}),
        sweep_name=sweep.name,
    )
    run_table.edit(connection, run, changes)
    connection.execute(
        "INSERT INTO trials (run_id, sweep_id, agent_id, parameters) VALUES (?, ?, ?, ?)",
        (run.id, sweep.id, agent.id, dumps(parameters)),
    )
    trial = find(connection, run.id)
    assert trial is not None
    return trial


def report(connection: sqlite3.Connection, trial: StoredTrial) -> None:
    connection.execute("UPDATE trials SET reported = 1, released = 0 WHERE run_id = ?", (trial.run_id,))


def repeat(connection: sqlite3.Connection, trial: StoredTrial) -> None:
    connection.execute("UPDATE trials SET repeated = 1 WHERE run_id = ?", (trial.run_id,))


def stop(connection: sqlite3.Connection, trial: StoredTrial) -> None:
    connection.execute("UPDATE trials SET stopping = 1 WHERE run_id = ?", (trial.run_id,))


def hand_over(connection: sqlite3.Connection, trial: StoredTrial, agent: StoredAgent) -> None:
    """Give a trial whose first agent was preempted to another."""
    connection.execute(
        "UPDATE trials SET agent_id = ?, reported = 0, repeated = 0, released = 0, stopping = 0 WHERE run_id = ?",
        (agent.id, trial.run_id),
    )
    connection.execute("UPDATE runs SET state = 'pending', heartbeat_at = ? WHERE id = ?", (time.time(), trial.run_id))


def release(connection: sqlite3.Connection, trial: StoredTrial) -> None:
    """Record that the agent no longer runs a trial. A trial that did not report its end has failed.

    If its writer is alive nevertheless, its next heartbeat revives it.
    """
    connection.execute("UPDATE trials SET released = 1 WHERE run_id = ?", (trial.run_id,))
    if trial.state in ("pending", "running"):
        ended = "killed" if trial.stopping else "failed" if trial.state == "pending" else "crashed"
        connection.execute("UPDATE runs SET state = ? WHERE id = ?", (ended, trial.run_id))


def _stored(row: sqlite3.Row) -> StoredTrial:
    return StoredTrial(
        run_id=row["run_id"],
        agent_id=row["agent_id"],
        name=row["name"],
        state=row["state"],
        parameters=loads_object(row["parameters"]),
        reported=bool(row["reported"]),
        repeated=bool(row["repeated"]),
        released=bool(row["released"]),
        stopping=bool(row["stopping"] or row["stop_requested"]),
    )
