"""Tables of artifact entries and of the blobs that they share."""

from __future__ import annotations

import json
import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._storage.blobs import Blob

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One file of an artifact as its manifest lists it."""

    name: str
    digest: str
    size: int
    reference: str | None
    """Where the contents are, when they are not on this server."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    id: int
    artifact_id: int
    name: str
    digest: str
    size: int
    reference: str | None

    @property
    def md5(self) -> str:
        return self.digest

    @property
    def display_name(self) -> str:
        return self.name

    @property
    def mimetype(self) -> str:
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def find_blob(connection: sqlite3.Connection, md5: str) -> Blob | None:
    row = connection.execute("SELECT blob, size FROM artifact_blobs WHERE md5 = ?", (md5,)).fetchone()
    return Blob(row["blob"], row["size"], md5) if row else None


def keep_blob(connection: sqlite3.Connection, blob: Blob) -> bool:
    """Register uploaded contents; return False if they are not needed: known already, or of a deleted artifact."""
    if not _is_wanted(connection, blob.digest):
        return False
    cursor = connection.execute(
        "INSERT INTO artifact_blobs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (blob.digest, blob.name, blob.size)
    )
    return cursor.rowcount > 0


def claim(connection: sqlite3.Connection, artifact_id: int, md5: str) -> None:
    """Note that a pending artifact is going to hold these contents."""
    connection.execute("INSERT INTO artifact_claims VALUES (?, ?) ON CONFLICT DO NOTHING", (artifact_id, md5))


def fill(connection: sqlite3.Connection, artifact_id: int, entries: Iterable[ManifestEntry]) -> None:
    """Store what an artifact holds, in place of what it was going to."""
    connection.executemany(
        "INSERT INTO artifact_entries (artifact_id, name, digest, size, reference) VALUES (?, ?, ?, ?, ?)",
        ((artifact_id, entry.name, entry.digest, entry.size, entry.reference) for entry in entries),
    )
    connection.execute("DELETE FROM artifact_claims WHERE artifact_id = ?", (artifact_id,))


def page(
    connection: sqlite3.Connection, artifact_id: int, *, names: list[str] | None, after: int, limit: int
) -> list[StoredEntry]:
    """Return what an artifact holds (only `names` unless None) after the id `after`."""
    rows = connection.execute(
        "SELECT * FROM artifact_entries WHERE artifact_id = :artifact AND id > :after "
        "AND (:names IS NULL OR name IN (SELECT value FROM json_each(:names))) ORDER BY id LIMIT :limit",
        {"artifact": artifact_id, "after": after, "names": _as_json(names), "limit": limit},
    )
    return [StoredEntry(**row) for row in rows]


def count(connection: sqlite3.Connection, artifact_id: int, names: list[str] | None) -> int:
    (total,) = connection.execute(
        "SELECT COUNT(*) FROM artifact_entries WHERE artifact_id = :artifact "
        "AND (:names IS NULL OR name IN (SELECT value FROM json_each(:names)))",
        {"artifact": artifact_id, "names": _as_json(names)},
    ).fetchone()
    return int(total)


def _as_json(names: list[str] | None) -> str | None:
    return None if names is None else json.dumps(names)


def is_in_collection(connection: sqlite3.Connection, collection_id: int, md5: str) -> bool:
    """Return whether some version of a collection holds these contents."""
    row = connection.execute(
        "SELECT 1 FROM artifact_entries JOIN artifacts ON artifacts.id = artifact_id "
        "WHERE collection_id = ? AND artifact_entries.digest = ? AND reference IS NULL LIMIT 1",
        (collection_id, md5),
    )
    return row.fetchone() is not None


def contents_of(connection: sqlite3.Connection, artifact_id: int) -> set[str]:
    """Return the MD5 of everything an artifact needs; call it before deleting the artifact."""
    rows = connection.execute(
        "SELECT digest FROM artifact_entries WHERE artifact_id = :artifact UNION "
        "SELECT md5 FROM artifact_claims WHERE artifact_id = :artifact UNION "
        "SELECT digest FROM artifact_manifests WHERE artifact_id = :artifact AND digest IS NOT NULL UNION "
        "SELECT manifest_digest FROM artifacts WHERE id = :artifact AND manifest_digest IS NOT NULL",
        {"artifact": artifact_id},
    )
    return {md5 for (md5,) in rows}


def forget_unused(connection: sqlite3.Connection, candidates: set[str]) -> list[str]:
    """Forget those of the contents that no artifact needs; return their blobs, to be removed."""
    unused: list[str] = []
    for md5 in candidates:
        blob = find_blob(connection, md5)
        if blob is not None and not _is_wanted(connection, md5):
            connection.execute("DELETE FROM artifact_blobs WHERE md5 = ?", (md5,))
            unused.append(blob.name)
    return unused


def _is_wanted(connection: sqlite3.Connection, md5: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM artifact_entries WHERE digest = :md5 AND reference IS NULL) "
        "OR EXISTS (SELECT 1 FROM artifact_claims WHERE md5 = :md5) "
        "OR EXISTS (SELECT 1 FROM artifact_manifests WHERE digest = :md5) "
        "OR EXISTS (SELECT 1 FROM artifacts WHERE manifest_digest = :md5)",
        {"md5": md5},
    )
    return bool(row.fetchone()[0])
