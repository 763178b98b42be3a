"""Table of sweeps."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from wandb_devserver._search.config import parse_config
from wandb_devserver._storage.names import short_id

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._storage.projects import StoredProject

PENDING, RUNNING, PAUSED, FINISHED, CANCELED = STATES = ("PENDING", "RUNNING", "PAUSED", "FINISHED", "CANCELED")

_QUERY = """SELECT sweeps.id, project_id, projects.entity, projects.name AS project, sweeps.name, display_name,
    sweeps.description, config, state, controller, scheduler, sweeps.created_at, updated_at
    FROM sweeps JOIN projects ON projects.id = sweeps.project_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSweep:
    """A sweep as stored; `config` is YAML text as the client sent it."""

    id: int
    project_id: int
    entity: str
    project: str
    name: str
    display_name: str | None
    description: str | None
    config: str
    state: str
    controller: str | None
    scheduler: str | None
    created_at: float
    updated_at: float

    @property
    def title(self) -> str:
        """The name to show: the one that it was given later, or at first, or its id."""
        configured = parse_config(self.config).document.get("name")
        return self.display_name or (configured if isinstance(configured, str) else "") or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepChanges:
    """The fields that a request sets on a sweep; None leaves a field as it is."""

    display_name: str | None = None
    description: str | None = None
    config: str | None = None
    state: str | None = None
    controller: str | None = None
    scheduler: str | None = None


def find(connection: sqlite3.Connection, project_id: int, name: str) -> StoredSweep | None:
    row = connection.execute(f"{_QUERY} WHERE project_id = ? AND sweeps.name = ?", (project_id, name)).fetchone()
    return StoredSweep(**row) if row else None


def find_by_id(connection: sqlite3.Connection, sweep_id: int) -> StoredSweep | None:
    row = connection.execute(f"{_QUERY} WHERE sweeps.id = ?", (sweep_id,)).fetchone()
    return StoredSweep(**row) if row else None


def find_by_path(connection: sqlite3.Connection, entity: str, project: str, name: str) -> StoredSweep | None:
    row = connection.execute(
        f"{_QUERY} WHERE projects.entity = ? AND projects.name = ? AND sweeps.name = ?", (entity, project, name)
    ).fetchone()
    return StoredSweep(**row) if row else None


def page(connection: sqlite3.Connection, project_id: int, *, after: int = 0, limit: int = -1) -> list[StoredSweep]:
    """Return sweeps of a project, oldest first, after the id `after`."""
    rows = connection.execute(
        f"{_QUERY} WHERE project_id = ? AND sweeps.id > ? ORDER BY sweeps.id LIMIT ?", (project_id, after, limit)
    )
    return [StoredSweep(**row) for row in rows]


def count(connection: sqlite3.Connection, project_id: int) -> int:
    (total,) = connection.execute("SELECT COUNT(*) FROM sweeps WHERE project_id = ?", (project_id,)).fetchone()
    return int(total)


def create(connection: sqlite3.Connection, project: StoredProject, config: str) -> StoredSweep:
    now, name = time.time(), short_id()
    connection.execute(
        "INSERT INTO sweeps (project_id, name, config, state, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        (project.id, name, config, PENDING, now, now),
    )
    sweep = find(connection, project.id, name)
    assert sweep is not None
    return sweep


def edit(connection: sqlite3.Connection, sweep: StoredSweep, changes: SweepChanges) -> None:
    values = {field.name: getattr(changes, field.name) for field in fields(changes)}
    given = {column: value for column, value in values.items() if value is not None}
    assignments = ", ".join(f"{column} = ?" for column in (*given, "updated_at"))
    connection.execute(
        f"UPDATE sweeps SET {assignments} WHERE id = ?",  # noqa: S608
        (*given.values(), time.time(), sweep.id),
    )


def add_prior_run(connection: sqlite3.Connection, sweep: StoredSweep, run_id: int) -> None:
    connection.execute("INSERT INTO prior_runs VALUES (?, ?) ON CONFLICT DO NOTHING", (sweep.id, run_id))


def prior_runs(connection: sqlite3.Connection, sweep_id: int) -> list[int]:
    """Return the runs that were added to a sweep when it was created."""
    rows = connection.execute("SELECT run_id FROM prior_runs WHERE sweep_id = ? ORDER BY run_id", (sweep_id,))
    return [run_id for (run_id,) in rows]


def delete(connection: sqlite3.Connection, sweep: StoredSweep) -> None:
    """Forget the sweep and its agents. Its runs stay; those that wait for an agent need not any more."""
    connection.execute(
        """UPDATE runs SET state = 'killed'
        WHERE state = 'pending' AND id IN (SELECT run_id FROM trials WHERE sweep_id = ?)""",
        (sweep.id,),
    )
    connection.execute("DELETE FROM sweeps WHERE id = ?", (sweep.id,))
