"""Tables of artifacts, the runs that logged or used them, and the ids that clients gave them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from wandb_devserver._domain.digests import MD5
from wandb_devserver._storage import memberships as membership_table
from wandb_devserver._storage.memberships import ALIVE

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._storage.collections import StoredCollection

    Role: TypeAlias = Literal["input", "output"]

PENDING = "PENDING"
COMMITTED = "COMMITTED"
TTL_DISABLED = -2

_COLUMNS = """artifacts.id, artifacts.collection_id, distributed_id, artifacts.run_id, state, artifacts.version, digest,
    digest_algorithm, manifest_digest, description, metadata, tags, requested_aliases, history_step, commit_hash,
    ttl_seconds, size, file_count, artifacts.created_at, updated_at"""
_FIND = f"SELECT {_COLUMNS} FROM artifacts WHERE {ALIVE}"  # noqa: S608
_FIND_ALL = f"SELECT {_COLUMNS} FROM artifacts"  # noqa: S608
_FIND_BY_CLIENT = f"SELECT {_COLUMNS} FROM artifact_clients JOIN artifacts ON artifacts.id = artifact_id WHERE {ALIVE}"  # noqa: S608
_FIND_OF_RUN = f"SELECT {_COLUMNS} FROM artifact_runs JOIN artifacts ON artifacts.id = artifact_id WHERE {ALIVE}"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArtifact:
    """An artifact; `metadata` is JSON text as the client sent it, `version` its number in its sequence."""

    id: int
    collection_id: int
    distributed_id: str | None
    run_id: int | None
    state: str
    version: int | None
    digest: str
    digest_algorithm: str
    manifest_digest: str | None
    description: str | None
    metadata: str | None
    tags: list[str]
    requested_aliases: list[str]
    history_step: int | None
    commit_hash: str | None
    ttl_seconds: int | None
    size: int
    file_count: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArtifact:
    """The fields of an artifact that a client sends before it uploads anything."""

    digest: str
    digest_algorithm: str = MD5
    distributed_id: str | None = None
    run_id: int | None = None
    description: str | None = None
    metadata: str | None = None
    tags: list[str]
    aliases: list[str]
    history_step: int | None = None
    ttl_seconds: int | None = None


def find_by_id(connection: sqlite3.Connection, artifact_id: int) -> StoredArtifact | None:
    row = connection.execute(f"{_FIND} AND id = ?", (artifact_id,))
    return _stored(row.fetchone())


def find_by_client_id(connection: sqlite3.Connection, client_id: str) -> StoredArtifact | None:
    row = connection.execute(f"{_FIND_BY_CLIENT} AND client_id = ?", (client_id,))
    return _stored(row.fetchone())


def find_by_digest(connection: sqlite3.Connection, collection_id: int, digest: str) -> StoredArtifact | None:
    """Return the newest committed version with these contents."""
    row = connection.execute(
        f"{_FIND} AND collection_id = ? AND digest = ? AND state = ? ORDER BY version DESC LIMIT 1",
        (collection_id, digest, COMMITTED),
    )
    return _stored(row.fetchone())


def algorithm_of(connection: sqlite3.Connection, collection_id: int) -> str | None:
    """Return the digest algorithm of the newest version of a sequence; None if it has no version."""
    row = connection.execute(
        f"SELECT digest_algorithm FROM artifacts WHERE {ALIVE} AND collection_id = ? AND state = ? "  # noqa: S608
        "ORDER BY version DESC LIMIT 1",
        (collection_id, COMMITTED),
    ).fetchone()
    return row["digest_algorithm"] if row else None


def find_distributed(connection: sqlite3.Connection, collection_id: int, distributed_id: str) -> StoredArtifact | None:
    """Return the artifact that several writers are filling."""
    row = connection.execute(
        f"{_FIND} AND collection_id = ? AND distributed_id = ? AND state = ?",
        (collection_id, distributed_id, PENDING),
    )
    return _stored(row.fetchone())


def all_in(connection: sqlite3.Connection, collection_id: int) -> list[StoredArtifact]:
    """Return every artifact of a sequence, unfinished and expired ones too."""
    rows = connection.execute(f"{_FIND_ALL} WHERE collection_id = ?", (collection_id,))
    return [artifact for row in rows if (artifact := _stored(row))]


def expired(connection: sqlite3.Connection) -> list[StoredArtifact]:
    """Return the artifacts whose time to live is over."""
    rows = connection.execute(f"{_FIND_ALL} WHERE NOT {ALIVE}")
    return [artifact for row in rows if (artifact := _stored(row))]


def of_run(connection: sqlite3.Connection, run_id: int, role: Role) -> list[StoredArtifact]:
    """Return the committed artifacts a run logged or used, oldest first."""
    rows = connection.execute(
        f"{_FIND_OF_RUN} AND artifact_runs.run_id = ? AND role = ? AND state = ? ORDER BY artifacts.id",
        (run_id, role, COMMITTED),
    )
    return [artifact for row in rows if (artifact := _stored(row))]


def created_by(connection: sqlite3.Connection, run_id: int) -> list[StoredArtifact]:
    """Return the artifacts that a run created, unfinished ones too."""
    rows = connection.execute(f"{_FIND_ALL} WHERE run_id = ?", (run_id,))
    return [artifact for row in rows if (artifact := _stored(row))]


def create(connection: sqlite3.Connection, collection: StoredCollection, new: NewArtifact) -> StoredArtifact:
    now = time.time()
    cursor = connection.execute(
        "INSERT INTO artifacts (collection_id, distributed_id, run_id, digest, digest_algorithm, description, "
        "metadata, tags, requested_aliases, history_step, ttl_seconds, created_at, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            collection.id,
            new.distributed_id,
            new.run_id,
            new.digest,
            new.digest_algorithm,
            new.description,
            new.metadata,
            json.dumps(new.tags),
            json.dumps(new.aliases),
            new.history_step,
            new.ttl_seconds,
            now,
            now,
        ),
    )
    assert cursor.lastrowid is not None
    artifact = find_by_id(connection, cursor.lastrowid)
    assert artifact is not None
    return artifact


def add_client(connection: sqlite3.Connection, artifact: StoredArtifact, client_id: str) -> None:
    """Record the id by which a client knows an artifact."""
    connection.execute(
        "INSERT INTO artifact_clients VALUES (?, ?) ON CONFLICT DO UPDATE SET artifact_id = excluded.artifact_id",
        (client_id, artifact.id),
    )


def commit(
    connection: sqlite3.Connection,
    artifact: StoredArtifact,
    *,
    digest: str,
    manifest_digest: str,
    commit_hash: str,
    size: int,
    file_count: int,
) -> None:
    """Make a complete artifact the next and latest version of its sequence."""
    membership = membership_table.add(connection, artifact.collection_id, artifact.id)
    connection.execute(
        "UPDATE artifacts SET state = ?, digest = ?, manifest_digest = ?, commit_hash = ?, size = ?, file_count = ?, "
        "updated_at = ?, version = ? WHERE id = ?",
        (
            COMMITTED,
            digest,
            manifest_digest,
            commit_hash,
            size,
            file_count,
            time.time(),
            membership.version,
            artifact.id,
        ),
    )
    membership_table.set_aliases(connection, membership, artifact.requested_aliases)
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
    """Set the given fields; None leaves a field as it is."""
    connection.execute(
        "UPDATE artifacts SET description = COALESCE(?, description), metadata = COALESCE(?, metadata), tags = ?, "
        "updated_at = ? WHERE id = ?",
        (description, metadata, json.dumps(tags), time.time(), artifact.id),
    )


def set_ttl(connection: sqlite3.Connection, artifact: StoredArtifact, ttl_seconds: int | None) -> None:
    connection.execute("UPDATE artifacts SET ttl_seconds = ? WHERE id = ?", (ttl_seconds, artifact.id))


def request_aliases(connection: sqlite3.Connection, artifact: StoredArtifact, aliases: list[str]) -> None:
    """Add aliases that a pending artifact gets when it is committed."""
    wanted = list(dict.fromkeys([*artifact.requested_aliases, *aliases]))
    connection.execute("UPDATE artifacts SET requested_aliases = ? WHERE id = ?", (json.dumps(wanted), artifact.id))


def delete(connection: sqlite3.Connection, artifact: StoredArtifact) -> None:
    """Remove an artifact from all its collections, and then itself."""
    for membership in membership_table.of_artifact(connection, artifact.id):
        membership_table.remove(connection, membership)
    connection.execute("DELETE FROM artifacts WHERE id = ?", (artifact.id,))


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
