"""Table of runs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from wandb_devserver._documents import merge_shared
from wandb_devserver._json import dumps, loads_object
from wandb_devserver._storage import order as orders
from wandb_devserver._storage.names import display_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from wandb_devserver._storage.projects import StoredProject

    RunFilter = Callable[["StoredRun"], bool]

# A run whose writer sends no heartbeats is not running, nor is one waiting for an agent that sends none.
EFFECTIVE_STATE = """CASE
    WHEN runs.state = 'pending' AND EXISTS (
        SELECT 1 FROM trials JOIN agents ON agents.id = trials.agent_id
        WHERE trials.run_id = runs.id AND agents.heartbeat_at < heartbeat_deadline()
    ) THEN 'crashed'
    WHEN runs.heartbeat_at >= heartbeat_deadline() THEN runs.state
    WHEN runs.state = 'running' THEN 'crashed'
    WHEN runs.state = 'preempting' THEN 'preempted'
    ELSE runs.state
END"""

_COLUMNS = f"""runs.id, project_id, projects.entity, projects.name AS project, runs.name, display_name,
    {EFFECTIVE_STATE} AS state, exit_code, stop_requested, config, summary, tags, notes, runs.description,
    group_name, job_type, sweep_name, commit_hash, host, program, repo, runs.created_at, heartbeat_at"""
_FROM = "FROM runs JOIN projects ON projects.id = runs.project_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as stored; `config` and `summary` are JSON text as the writer sent it."""

    id: int
    project_id: int
    entity: str
    project: str
    name: str
    display_name: str
    state: str
    exit_code: int | None
    stop_requested: bool
    config: str
    summary: str
    tags: list[str]
    notes: str | None
    description: str | None
    group_name: str | None
    job_type: str | None
    sweep_name: str | None
    commit_hash: str | None
    host: str | None
    program: str | None
    repo: str | None
    created_at: float
    heartbeat_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChanges:
    """The fields that a request sets on a run; None leaves a field as it is."""

    display_name: str | None = None
    config: str | None = None
    summary: str | None = None
    tags: list[str] | None = None
    notes: str | None = None
    description: str | None = None
    group_name: str | None = None
    job_type: str | None = None
    sweep_name: str | None = None
    commit_hash: str | None = None
    host: str | None = None
    program: str | None = None
    repo: str | None = None


def find(connection: sqlite3.Connection, project_id: int, name: str) -> StoredRun | None:
    row = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE project_id = ? AND runs.name = ?", (project_id, name))
    return _stored(row.fetchone())


def find_by_path(connection: sqlite3.Connection, entity: str, project: str, name: str) -> StoredRun | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE projects.entity = ? AND projects.name = ? AND runs.name = ?",
        (entity, project, name),
    )
    return _stored(row.fetchone())


def find_by_id(connection: sqlite3.Connection, run_id: int) -> StoredRun | None:
    row = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE runs.id = ?", (run_id,))
    return _stored(row.fetchone())


def page(
    connection: sqlite3.Connection,
    project_id: int,
    *,
    matches: RunFilter | None = None,
    order: orders.Order = orders.OLDEST_FIRST,
    after: str | None = None,
    limit: int,
) -> list[tuple[StoredRun, str]]:
    """Return up to `limit` runs that follow the cursor `after`, each with its own cursor."""
    condition, parameters = order.after(after)
    rows = connection.execute(
        f"SELECT {_COLUMNS}, {order.expression} AS sort_key {_FROM} "
        f"WHERE project_id = ? AND {condition} ORDER BY {order.clause}",
        (project_id, *parameters),
    )
    found: list[tuple[StoredRun, str]] = []
    for row in rows:
        if len(found) == limit:
            break
        run = _stored(row)
        assert run is not None
        if matches is None or matches(run):
            found.append((run, order.cursor(row["sort_key"], run.id)))
    return found


def of_sweep(connection: sqlite3.Connection, project_id: int, sweep_name: str) -> list[StoredRun]:
    """Return the runs of a sweep, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE project_id = ? AND sweep_name = ? ORDER BY runs.id", (project_id, sweep_name)
    )
    return [run for row in rows if (run := _stored(row))]


def of_group(connection: sqlite3.Connection, project_id: int, group_name: str) -> list[StoredRun]:
    """Return the runs of a group, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE project_id = ? AND group_name = ? ORDER BY runs.id", (project_id, group_name)
    )
    return [run for row in rows if (run := _stored(row))]


def count(connection: sqlite3.Connection, project_id: int, matches: RunFilter | None = None) -> int:
    if matches is None:
        (total,) = connection.execute("SELECT COUNT(*) FROM runs WHERE project_id = ?", (project_id,)).fetchone()
        return int(total)
    rows = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE project_id = ?", (project_id,))
    return sum(1 for row in rows if (run := _stored(row)) and matches(run))


def create(connection: sqlite3.Connection, project: StoredProject, name: str, state: str) -> StoredRun:
    now = time.time()
    connection.execute(
        "INSERT INTO runs (project_id, name, display_name, state, created_at, heartbeat_at) VALUES (?, ?, ?, ?, ?, ?)",
        (project.id, name, display_name(count(connection, project.id) + 1), state, now, now),
    )
    run = find(connection, project.id, name)
    assert run is not None
    return run


def edit(connection: sqlite3.Connection, run: StoredRun, changes: RunChanges, *, merge: bool = False) -> None:
    """Set what `changes` names.

    With `merge`, configuration and summary come from one of several writers, each of which
    knows only its own part.
    """
    values = {field.name: getattr(changes, field.name) for field in fields(changes)}
    values["tags"] = None if changes.tags is None else json.dumps(changes.tags)
    values["config"] = _new_config(run.config, changes.config, merge=merge)
    if merge and changes.summary is not None:
        values["summary"] = dumps(merge_shared(loads_object(run.summary), loads_object(changes.summary)))
    given = {column: value for column, value in values.items() if value is not None}
    if given:
        assignments = ", ".join(f"{column} = ?" for column in given)
        connection.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*given.values(), run.id))  # noqa: S608


def delete(connection: sqlite3.Connection, run: StoredRun) -> None:
    connection.execute("DELETE FROM runs WHERE id = ?", (run.id,))


def _new_config(stored: str, sent: str | None, *, merge: bool) -> str | None:
    if sent is None or not merge:
        return sent
    return dumps(merge_shared(loads_object(stored), loads_object(sent)))


def _stored(row: sqlite3.Row | None) -> StoredRun | None:
    if row is None:
        return None
    values = {key: row[key] for key in row.keys() if key != "sort_key"}  # noqa: SIM118 - a Row iterates over values
    return StoredRun(**{**values, "tags": json.loads(row["tags"]), "stop_requested": bool(row["stop_requested"])})
