"""Tables of artifact collections and artifact types."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    import sqlite3

SEQUENCE = "SEQUENCE"
PORTFOLIO = "PORTFOLIO"

_SELECT = """SELECT collections.id, collections.project_id, artifact_types.name AS type, kind, collections.name,
    description, versions, collections.created_at, updated_at
    FROM collections JOIN artifact_types ON artifact_types.id = collections.type_id"""


@dataclass(frozen=True, slots=True)
class StoredType:
    id: int
    project_id: int
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class StoredTag:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class StoredCollection:
    id: int
    project_id: int
    type: str
    kind: str
    name: str
    description: str | None
    versions: int
    created_at: float
    updated_at: float


def find(connection: sqlite3.Connection, project_id: int, name: str) -> StoredCollection | None:
    row = connection.execute(f"{_SELECT} WHERE collections.project_id = ? AND collections.name = ?", (project_id, name))
    return _stored(row.fetchone())


def find_by_id(connection: sqlite3.Connection, collection_id: int) -> StoredCollection | None:
    return _stored(connection.execute(f"{_SELECT} WHERE collections.id = ?", (collection_id,)).fetchone())


def find_or_create(
    connection: sqlite3.Connection, project_id: int, type_name: str, name: str, kind: str = SEQUENCE
) -> StoredCollection:
    """Return the collection of that name.

    Raises:
        UsageError: if it exists with another type or kind.
    """
    collection = find(connection, project_id, name)
    if collection is None:
        now = time.time()
        connection.execute(
            "INSERT INTO collections (project_id, type_id, name, kind, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (project_id, find_or_create_type(connection, project_id, type_name).id, name, kind, now, now),
        )
        collection = find(connection, project_id, name)
        assert collection is not None
    if collection.type != type_name:
        msg = f"the artifact {name!r} is of type {collection.type!r}, not {type_name!r}: use that type or another name"
        raise UsageError(msg)
    if collection.kind != kind:
        holds = "links to artifacts" if collection.kind == PORTFOLIO else "artifacts that runs logged"
        msg = f"the collection {name!r} holds {holds}: use another name"
        raise UsageError(msg)
    return collection


def page(
    connection: sqlite3.Connection, project_ids: list[int], *, type_name: str | None = None
) -> list[StoredCollection]:
    """Return the collections of projects (of all types when `type_name` is None), oldest first."""
    rows = connection.execute(
        f"{_SELECT} JOIN json_each(:projects) AS projects ON collections.project_id = projects.value "
        "WHERE (:type IS NULL OR artifact_types.name = :type) ORDER BY collections.id",
        {"projects": json.dumps(project_ids), "type": type_name},
    )
    return [StoredCollection(**row) for row in rows]


def edit(
    connection: sqlite3.Connection, collection: StoredCollection, *, name: str | None, description: str | None
) -> None:
    """Set a new name or description; None leaves the current one.

    Raises:
        UsageError: if another collection has the name.
    """
    taken = find(connection, collection.project_id, name) if name else None
    if taken is not None and taken.id != collection.id:
        msg = f"an artifact collection {name!r} already exists: choose another name"
        raise UsageError(msg)
    connection.execute(
        "UPDATE collections SET name = COALESCE(?, name), description = COALESCE(?, description), updated_at = ? "
        "WHERE id = ?",
        (name, description, time.time(), collection.id),
    )


def move(connection: sqlite3.Connection, collection: StoredCollection, type_name: str) -> None:
    """Give a collection another artifact type."""
    kind = find_or_create_type(connection, collection.project_id, type_name)
    connection.execute(
        "UPDATE collections SET type_id = ?, updated_at = ? WHERE id = ?", (kind.id, time.time(), collection.id)
    )


def delete(connection: sqlite3.Connection, collection: StoredCollection) -> None:
    connection.execute("DELETE FROM collections WHERE id = ?", (collection.id,))


def tags(connection: sqlite3.Connection, collection_id: int) -> list[StoredTag]:
    rows = connection.execute(
        "SELECT id, name FROM collection_tags WHERE collection_id = ? ORDER BY id", (collection_id,)
    )
    return [StoredTag(**row) for row in rows]


def add_tags(connection: sqlite3.Connection, collection: StoredCollection, names: list[str]) -> None:
    connection.executemany(
        "INSERT INTO collection_tags (collection_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(collection.id, name) for name in names],
    )


def remove_tags(connection: sqlite3.Connection, collection: StoredCollection, names: list[str]) -> None:
    connection.executemany(
        "DELETE FROM collection_tags WHERE collection_id = ? AND name = ?", [(collection.id, name) for name in names]
    )


def find_type(connection: sqlite3.Connection, project_id: int, name: str) -> StoredType | None:
    row = connection.execute(
        "SELECT * FROM artifact_types WHERE project_id = ? AND name = ?", (project_id, name)
    ).fetchone()
    return StoredType(**row) if row else None


def page_types(connection: sqlite3.Connection, project_id: int, *, after: int, limit: int) -> list[StoredType]:
    rows = connection.execute(
        "SELECT * FROM artifact_types WHERE project_id = ? AND id > ? ORDER BY id LIMIT ?", (project_id, after, limit)
    )
    return [StoredType(**row) for row in rows]


def find_or_create_type(connection: sqlite3.Connection, project_id: int, name: str) -> StoredType:
    connection.execute(
        "INSERT INTO artifact_types (project_id, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (project_id, name, time.time()),
    )
    found = find_type(connection, project_id, name)
    assert found is not None
    return found


def _stored(row: sqlite3.Row | None) -> StoredCollection | None:
    return StoredCollection(**row) if row else None
