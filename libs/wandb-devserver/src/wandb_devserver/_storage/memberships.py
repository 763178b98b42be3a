"""Tables of collection memberships (numbered versions) and of the aliases that point to them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

LATEST = "latest"

_VERSION = re.compile(r"v(\d+)")
# An artifact whose time to live is over is gone, even before its rows are deleted.
ALIVE = "(ttl_seconds IS NULL OR ttl_seconds <= 0 OR artifacts.created_at + ttl_seconds > unix_now())"
_QUERY = f"SELECT memberships.* FROM memberships JOIN artifacts ON artifacts.id = artifact_id WHERE {ALIVE}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class StoredMembership:
    """An artifact as a version of a collection: its sequence, or a portfolio that links to it."""

    id: int
    collection_id: int
    artifact_id: int
    version: int
    created_at: float


@dataclass(frozen=True, slots=True)
class StoredAlias:
    id: int
    collection_id: int
    alias: str
    artifact_id: int


def find(connection: sqlite3.Connection, collection_id: int, artifact_id: int) -> StoredMembership | None:
    row = connection.execute(
        f"{_QUERY} AND memberships.collection_id = ? AND artifact_id = ?", (collection_id, artifact_id)
    )
    return _stored(row.fetchone())


def find_by_id(connection: sqlite3.Connection, membership_id: int) -> StoredMembership | None:
    return _stored(connection.execute(f"{_QUERY} AND memberships.id = ?", (membership_id,)).fetchone())


def find_by_reference(connection: sqlite3.Connection, collection_id: int, reference: str) -> StoredMembership | None:
    """Return the version that `v<number>` or an alias refers to."""
    if version := _VERSION.fullmatch(reference):
        row = connection.execute(
            f"{_QUERY} AND memberships.collection_id = ? AND memberships.version = ?", (collection_id, int(version[1]))
        )
        return _stored(row.fetchone())
    alias = connection.execute(
        "SELECT artifact_id FROM artifact_aliases WHERE collection_id = ? AND alias = ?", (collection_id, reference)
    ).fetchone()
    found = find(connection, collection_id, alias["artifact_id"]) if alias else None
    if found is None and reference == LATEST:
        # The latest version may have expired since.
        return next(iter(page(connection, collection_id, newest_first=True)), None)
    return found


def page(connection: sqlite3.Connection, collection_id: int, *, newest_first: bool) -> list[StoredMembership]:
    """Return all versions of a collection."""
    rows = connection.execute(
        f"{_QUERY} AND memberships.collection_id = ? ORDER BY memberships.version * ?",
        (collection_id, -1 if newest_first else 1),
    )
    return [StoredMembership(**row) for row in rows]


def of_artifact(connection: sqlite3.Connection, artifact_id: int) -> list[StoredMembership]:
    """Return the memberships of an artifact (an expired one too), the one in its sequence first."""
    rows = connection.execute("SELECT * FROM memberships WHERE artifact_id = ? ORDER BY id", (artifact_id,))
    return [StoredMembership(**row) for row in rows]


def add(connection: sqlite3.Connection, collection_id: int, artifact_id: int) -> StoredMembership:
    """Make an artifact the next and latest version of a collection; one that is a version already stays it."""
    if (known := find(connection, collection_id, artifact_id)) is None:
        now = time.time()
        connection.execute(
            "INSERT INTO memberships (collection_id, artifact_id, version, created_at) "
            "SELECT id, ?, versions, ? FROM collections WHERE id = ?",
            (artifact_id, now, collection_id),
        )
        connection.execute(
            "UPDATE collections SET versions = versions + 1, updated_at = ? WHERE id = ?", (now, collection_id)
        )
        known = find(connection, collection_id, artifact_id)
        assert known is not None
    set_aliases(connection, known, [LATEST])
    return known


def remove(connection: sqlite3.Connection, membership: StoredMembership) -> None:
    """Remove a version and its aliases; if it was the latest, the newest remaining version becomes it."""
    aliases = aliases_of(connection, membership)
    connection.execute("DELETE FROM memberships WHERE id = ?", (membership.id,))
    remove_aliases(connection, membership, [alias.alias for alias in aliases])
    if any(alias.alias == LATEST for alias in aliases):
        remaining = page(connection, membership.collection_id, newest_first=True)
        if remaining:
            set_aliases(connection, remaining[0], [LATEST])


def aliases_of(connection: sqlite3.Connection, membership: StoredMembership) -> list[StoredAlias]:
    rows = connection.execute(
        "SELECT * FROM artifact_aliases WHERE collection_id = ? AND artifact_id = ? ORDER BY id",
        (membership.collection_id, membership.artifact_id),
    )
    return [StoredAlias(**row) for row in rows]


def aliases_of_artifact(connection: sqlite3.Connection, artifact_id: int) -> list[StoredAlias]:
    """Return the aliases of an artifact in all collections."""
    rows = connection.execute("SELECT * FROM artifact_aliases WHERE artifact_id = ? ORDER BY id", (artifact_id,))
    return [StoredAlias(**row) for row in rows]


def aliases_in(connection: sqlite3.Connection, collection_id: int) -> list[StoredAlias]:
    rows = connection.execute("SELECT * FROM artifact_aliases WHERE collection_id = ? ORDER BY id", (collection_id,))
    return [StoredAlias(**row) for row in rows]


def set_aliases(connection: sqlite3.Connection, membership: StoredMembership, aliases: list[str]) -> None:
    """Point aliases to this version of its collection, wherever they pointed before."""
    for alias in aliases:
        connection.execute(
            "INSERT INTO artifact_aliases (collection_id, alias, artifact_id) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET artifact_id = excluded.artifact_id",
            (membership.collection_id, alias, membership.artifact_id),
        )


def remove_aliases(connection: sqlite3.Connection, membership: StoredMembership, aliases: list[str]) -> None:
    """Remove aliases of this version; one that moved to another version stays."""
    for alias in aliases:
        connection.execute(
            "DELETE FROM artifact_aliases WHERE collection_id = ? AND artifact_id = ? AND alias = ?",
            (membership.collection_id, membership.artifact_id, alias),
        )


def _stored(row: sqlite3.Row | None) -> StoredMembership | None:
    return StoredMembership(**row) if row else None
