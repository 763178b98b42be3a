"""Table of sweep agents."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._storage.names import short_id
from wandb_devserver._storage.runs import EFFECTIVE_STATE

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._storage.sweeps import StoredSweep

# Agents do not report their end: one without heartbeats has ended, and crashed if its trial did.
_QUERY = f"""SELECT agents.id, sweep_id, agents.name, host, agents.created_at, agents.heartbeat_at,
    (SELECT COUNT(*) FROM trials WHERE agent_id = agents.id) AS trial_count,
    CASE
        WHEN dismissed THEN 'FINISHED'
        WHEN agents.heartbeat_at >= heartbeat_deadline() THEN 'RUNNING'
        WHEN EXISTS (
            SELECT 1 FROM trials JOIN runs ON runs.id = trials.run_id
            WHERE agent_id = agents.id AND NOT released AND {EFFECTIVE_STATE} IN ('running', 'crashed')
        ) THEN 'CRASHED'
        ELSE 'FINISHED'
    END AS state
    FROM agents"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAgent:
    id: int
    sweep_id: int
    name: str
    host: str
    state: str
    trial_count: int
    created_at: float
    heartbeat_at: float


def create(connection: sqlite3.Connection, sweep: StoredSweep, host: str) -> StoredAgent:
    now, name = time.time(), short_id()
    connection.execute(
        "INSERT INTO agents (sweep_id, name, host, created_at, heartbeat_at) VALUES (?, ?, ?, ?, ?)",
        (sweep.id, name, host, now, now),
    )
    agent = find(connection, sweep.id, name)
    assert agent is not None
    return agent


def find(connection: sqlite3.Connection, sweep_id: int, name: str) -> StoredAgent | None:
    row = connection.execute(f"{_QUERY} WHERE sweep_id = ? AND name = ?", (sweep_id, name)).fetchone()
    return StoredAgent(**row) if row else None


def find_by_id(connection: sqlite3.Connection, agent_id: int) -> StoredAgent | None:
    row = connection.execute(f"{_QUERY} WHERE agents.id = ?", (agent_id,)).fetchone()
    return StoredAgent(**row) if row else None


def of_sweep(connection: sqlite3.Connection, sweep_id: int) -> list[StoredAgent]:
    """Return the agents that ever worked for a sweep, oldest first."""
    rows = connection.execute(f"{_QUERY} WHERE sweep_id = ? ORDER BY agents.id", (sweep_id,))
    return [StoredAgent(**row) for row in rows]


def beat(connection: sqlite3.Connection, agent: StoredAgent) -> None:
    connection.execute("UPDATE agents SET heartbeat_at = ?, dismissed = 0 WHERE id = ?", (time.time(), agent.id))


def dismiss(connection: sqlite3.Connection, agent: StoredAgent) -> None:
    connection.execute("UPDATE agents SET dismissed = 1 WHERE id = ?", (agent.id,))
