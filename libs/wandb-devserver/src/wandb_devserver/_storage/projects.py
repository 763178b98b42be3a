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
    access: str
    allows_all_types: bool
    created_at: float


def find(connection: sqlite3.Connection, entity: str, name: str) -> StoredProject | None:
    row = connection.execute("SELECT * FROM projects WHERE entity = ? AND name = ?", (entity, name)).fetchone()
    return _stored(row) if row else None


def find_by_id(connection: sqlite3.Connection, project_id: int) -> StoredProject | None:
    row = connection.execute("SELECT * FROM projects WHERE id = ?", (project_id,)).fetchone()
    return _stored(row) if row else None


def find_or_create(connection: sqlite3.Connection, entity: str, name: str) -> StoredProject:
    connection.execute(
        "INSERT INTO projects (entity, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (entity, name, time.time()),
    )
    project = find(connection, entity, name)
    assert project is not None
    return project


def edit(
    connection: sqlite3.Connection,
    project: StoredProject,
    *,
    description: str | None,
    access: str | None,
    allows_all_types: bool | None,
) -> None:
    """Set the given fields; None leaves a field as it is."""
    connection.execute(
        "UPDATE projects SET description = COALESCE(?, description), access = COALESCE(?, access), "
        "allows_all_types = COALESCE(?, allows_all_types) WHERE id = ?",
        (description, access, allows_all_types, project.id),
    )


def rename(connection: sqlite3.Connection, project: StoredProject, name: str) -> None:
    connection.execute("UPDATE projects SET name = ? WHERE id = ?", (name, project.id))


def delete(connection: sqlite3.Connection, project: StoredProject) -> None:
    connection.execute("DELETE FROM projects WHERE id = ?", (project.id,))


def page(connection: sqlite3.Connection, entity: str | None, *, after: int = 0, limit: int = -1) -> list[StoredProject]:
    """Return projects (of all entities when `entity` is None) in order of creation, after the id `after`."""
    rows = connection.execute(
        "SELECT * FROM projects WHERE (:entity IS NULL OR entity = :entity) AND id > :after ORDER BY id LIMIT :limit",
        {"entity": entity, "after": after, "limit": limit},
    )
    return [_stored(row) for row in rows]


def _stored(row: sqlite3.Row) -> StoredProject:
    return StoredProject(**{**dict(row), "allows_all_types": bool(row["allows_all_types"])})
