"""Tables of artifact versions, their aliases, and the runs that logged or used them."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._storage.collections import StoredCollection

    Role: TypeAlias = Literal["input", "output"]

LATEST = "latest"
PENDING = "PENDING"
COMMITTED = "COMMITTED"

_VERSION = re.compile(r"v(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArtifact:
    """A version of a collection; `metadata` is JSON text as the client sent it."""

    id: int
    collection_id: int
    client_id: str | None
    run_id: int | None
    state: str
    version: int | None
    digest: str
    manifest_digest: str | None
    description: str | None
    metadata: str | None
    tags: list[str]
    requested_aliases: list[str]
    history_step: int | None
    size: int
    file_count: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArtifact:
    """What a client says of an artifact before it uploads anything."""

    digest: str
    client_id: str | None = None
    run_id: int | None = None
    description: str | None = None
    metadata: str | None = None
    tags: list[str]
    aliases: list[str]
    history_step: int | None = None


@dataclass(frozen=True, slots=True)
class StoredAlias:
    id: int
    collection_id: int
    alias: str
    artifact_id: int


def find_by_id(connection: sqlite3.Connection, artifact_id: int) -> StoredArtifact | None:
    return _stored(connection.execute("SELECT * FROM artifacts WHERE id = ?", (artifact_id,)).fetchone())


def find_by_client_id(connection: sqlite3.Connection, client_id: str) -> StoredArtifact | None:
    return _stored(connection.execute("SELECT * FROM artifacts WHERE client_id = ?", (client_id,)).fetchone())


def find_by_digest(connection: sqlite3.Connection, collection_id: int, digest: str) -> StoredArtifact | None:
    """Return the newest committed version with these contents."""
    row = connection.execute(
        "SELECT * FROM artifacts WHERE collection_id = ? AND digest = ? AND state = ? ORDER BY version DESC LIMIT 1",
        (collection_id, digest, COMMITTED),
    )
    return _stored(row.fetchone())


def find_by_reference(connection: sqlite3.Connection, collection_id: int, reference: str) -> StoredArtifact | None:
    """Return the version that `v<number>` or an alias stands for."""
    if version := _VERSION.fullmatch(reference):
        row = connection.execute(
            "SELECT * FROM artifacts WHERE collection_id = ? AND version = ?", (collection_id, int(version[1]))
        )
    else:
        row = connection.execute(
            "SELECT artifacts.* FROM artifact_aliases JOIN artifacts ON artifacts.id = artifact_id "
            "WHERE artifact_aliases.collection_id = ? AND alias = ?",
            (collection_id, reference),
        )
    return _stored(row.fetchone())


def page(connection: sqlite3.Connection, collection_id: int, *, newest_first: bool) -> list[StoredArtifact]:
    """Return all committed versions of a collection."""
    rows = connection.execute(
        "SELECT * FROM artifacts WHERE collection_id = ? AND state = ? ORDER BY version * ?",
        (collection_id, COMMITTED, -1 if newest_first else 1),
    )
    return [artifact for row in rows if (artifact := _stored(row))]


def all_in(connection: sqlite3.Connection, collection_id: int) -> list[StoredArtifact]:
    """Return everything in a collection, unfinished artifacts too."""
    rows = connection.execute("SELECT * FROM artifacts WHERE collection_id = ?", (collection_id,))
    return [artifact for row in rows if (artifact := _stored(row))]


def of_run(connection: sqlite3.Connection, run_id: int, role: Role) -> list[StoredArtifact]:
    """Return the committed artifacts a run logged or used, oldest first."""
    rows = connection.execute(
        "SELECT artifacts.* FROM artifact_runs JOIN artifacts ON artifacts.id = artifact_id "
        "WHERE artifact_runs.run_id = ? AND role = ? AND state = ? ORDER BY artifacts.id",
        (run_id, role, COMMITTED),
    )
    return [artifact for row in rows if (artifact := _stored(row))]


def created_by(connection: sqlite3.Connection, run_id: int) -> list[StoredArtifact]:
    """Return the artifacts that would not be there without a run, unfinished ones too."""
    rows = connection.execute("SELECT * FROM artifacts WHERE run_id = ?", (run_id,))
    return [artifact for row in rows if (artifact := _stored(row))]


def create(connection: sqlite3.Connection, collection: StoredCollection, new: NewArtifact) -> StoredArtifact:
    now = time.time()
    cursor = connection.execute(
        "INSERT INTO artifacts (collection_id, client_id, run_id, digest, description, metadata, tags, "
        "requested_aliases, history_step, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            collection.id,
            new.client_id,
            new.run_id,
            new.digest,
            new.description,
            new.metadata,
            json.dumps(new.tags),
            json.dumps(new.aliases),
            new.history_step,
            now,
            now,
        ),
    )
    assert cursor.lastrowid is not None
    artifact = find_by_id(connection, cursor.lastrowid)
    assert artifact is not None
    return artifact


def commit(connection: sqlite3.Connection, artifact: StoredArtifact, *, size: int, file_count: int) -> None:
    """Make a complete artifact the next and latest version of its collection."""
    now = time.time()
    connection.execute(
        "UPDATE artifacts SET state = ?, size = ?, file_count = ?, updated_at = ?, "
        "version = (SELECT versions FROM collections WHERE id = collection_id) WHERE id = ?",
        (COMMITTED, size, file_count, now, artifact.id),
    )
    connection.execute(
        "UPDATE collections SET versions = versions + 1, updated_at = ? WHERE id = ?", (now, artifact.collection_id)
    )
    set_aliases(connection, artifact, [LATEST, *artifact.requested_aliases])
    if artifact.run_id is not None:
        link_run(connection, artifact.run_id, artifact, "output")


def edit(
    connection: sqlite3.Connection,
    artifact: StoredArtifact,
    *,
    description: str | None,
    metadata: str | None,
    tags: list[str],
) -> None:
    """Set what is known of an artifact; None leaves a field as it is."""
    connection.execute(
        "UPDATE artifacts SET description = COALESCE(?, description), metadata = COALESCE(?, metadata), tags = ?, "
        "updated_at = ? WHERE id = ?",
        (description, metadata, json.dumps(tags), time.time(), artifact.id),
    )


def set_manifest(connection: sqlite3.Connection, artifact: StoredArtifact, digest: str) -> None:
    connection.execute("UPDATE artifacts SET manifest_digest = ? WHERE id = ?", (digest, artifact.id))


def delete(connection: sqlite3.Connection, artifact: StoredArtifact) -> None:
    """Remove an artifact; if it was the latest version, the newest one left is from now on."""
    was_latest = any(alias.alias == LATEST for alias in aliases_of(connection, artifact.id))
    connection.execute("DELETE FROM artifacts WHERE id = ?", (artifact.id,))
    if was_latest and (left := page(connection, artifact.collection_id, newest_first=True)):
        set_aliases(connection, left[0], [LATEST])


def aliases_of(connection: sqlite3.Connection, artifact_id: int) -> list[StoredAlias]:
    rows = connection.execute("SELECT * FROM artifact_aliases WHERE artifact_id = ? ORDER BY id", (artifact_id,))
    return [StoredAlias(**row) for row in rows]


def aliases_in(connection: sqlite3.Connection, collection_id: int) -> list[StoredAlias]:
    rows = connection.execute("SELECT * FROM artifact_aliases WHERE collection_id = ? ORDER BY id", (collection_id,))
    return [StoredAlias(**row) for row in rows]


def set_aliases(connection: sqlite3.Connection, artifact: StoredArtifact, aliases: list[str]) -> None:
    """Make aliases stand for this version, whichever they stood for before."""
    for alias in aliases:
        connection.execute(
            "INSERT INTO artifact_aliases (collection_id, alias, artifact_id) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET artifact_id = excluded.artifact_id",
            (artifact.collection_id, alias, artifact.id),
        )


def remove_aliases(connection: sqlite3.Connection, artifact: StoredArtifact, aliases: list[str]) -> None:
    """Remove aliases of this version; one that moved on to another version stays."""
    for alias in aliases:
        connection.execute("DELETE FROM artifact_aliases WHERE artifact_id = ? AND alias = ?", (artifact.id, alias))


def link_run(connection: sqlite3.Connection, run_id: int, artifact: StoredArtifact, role: Role) -> None:
    connection.execute("INSERT INTO artifact_runs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (role, run_id, artifact.id))


def users(connection: sqlite3.Connection, artifact_id: int) -> list[int]:
    """Return the runs that used an artifact."""
    rows = connection.execute(
        "SELECT run_id FROM artifact_runs WHERE artifact_id = ? AND role = 'input' ORDER BY run_id", (artifact_id,)
    )
    return [run_id for (run_id,) in rows]


def _stored(row: sqlite3.Row | None) -> StoredArtifact | None:
    if row is None:
        return None
    lists = {key: json.loads(row[key]) for key in ("tags", "requested_aliases")}
    return StoredArtifact(**{**dict(row), **lists})
