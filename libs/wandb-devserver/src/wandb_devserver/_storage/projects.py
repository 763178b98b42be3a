"""Table of projects; the first run of a project creates it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class StoredProject:
    id: int
    entity: str
    name: str
    description: str | None
    created_at: float


def find(connection: sqlite3.Connection, entity: str, name: str) -> StoredProject | None:
    row = connection.execute("SELECT * FROM projects WHERE entity = ? AND name = ?", (entity, name)).fetchone()
    return StoredProject(**row) if row else None


def find_by_id(connection: sqlite3.Connection, project_id: int) -> StoredProject | None:
    row = connection.execute("SELECT * FROM projects WHERE id = ?", (project_id,)).fetchone()
    return StoredProject(**row) if row else None


def find_or_create(connection: sqlite3.Connection, entity: str, name: str) -> StoredProject:
    connection.execute(
        "INSERT INTO projects (entity, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (entity, name, time.time()),
    )
    project = find(connection, entity, name)
    assert project is not None
    return project


def describe(connection: sqlite3.Connection, project: StoredProject, description: str) -> None:
    connection.execute("UPDATE projects SET description = ? WHERE id = ?", (description, project.id))


def page(connection: sqlite3.Connection, entity: str | None, *, after: int = 0, limit: int = -1) -> list[StoredProject]:
    """Return projects (of all entities when `entity` is None) in order of creation, after the id `after`."""
    rows = connection.execute(
        "SELECT * FROM projects WHERE (?1 IS NULL OR entity = ?1) AND id > ?2 ORDER BY id LIMIT ?3",
        (entity, after, limit),
    )
    return [StoredProject(**row) for row in rows]
