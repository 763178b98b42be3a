"""Table of artifact manifests as clients upload them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

FULL = "FULL"
INCREMENTAL = "INCREMENTAL"
PATCH = "PATCH"

FILE_NAMES = {
    FULL: "wandb_manifest.json",
    INCREMENTAL: "wandb_manifest.incremental.json",
    PATCH: "wandb_manifest.patch.json",
}


@dataclass(frozen=True, slots=True)
class StoredManifest:
    id: int
    artifact_id: int
    type: str
    base_artifact_id: int | None
    """The artifact whose files an incremental manifest adds to."""

    digest: str | None
    """Base64 of the MD5; None until the client has written the manifest."""


def find(connection: sqlite3.Connection, manifest_id: int) -> StoredManifest | None:
    row = connection.execute("SELECT * FROM artifact_manifests WHERE id = ?", (manifest_id,)).fetchone()
    return StoredManifest(**row) if row else None


def of_artifact(connection: sqlite3.Connection, artifact_id: int) -> list[StoredManifest]:
    """Return the manifests of an artifact, oldest first."""
    rows = connection.execute("SELECT * FROM artifact_manifests WHERE artifact_id = ? ORDER BY id", (artifact_id,))
    return [StoredManifest(**row) for row in rows]


def create(connection: sqlite3.Connection, artifact_id: int, type_: str, base_artifact_id: int | None) -> int:
    """Add a manifest and return its id. An artifact has one full manifest, but a patch of each writer."""
    if type_ == FULL:
        known = [manifest.id for manifest in of_artifact(connection, artifact_id) if manifest.type == FULL]
        if known:
            return known[0]
    cursor = connection.execute(
        "INSERT INTO artifact_manifests (artifact_id, type, base_artifact_id) VALUES (?, ?, ?)",
        (artifact_id, type_, base_artifact_id),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def update(
    connection: sqlite3.Connection, manifest: StoredManifest, digest: str | None, base_artifact_id: int | None
) -> None:
    """Set the given fields; None leaves a field as it is."""
    connection.execute(
        "UPDATE artifact_manifests SET digest = COALESCE(?, digest), "
        "base_artifact_id = COALESCE(?, base_artifact_id) WHERE id = ?",
        (digest, base_artifact_id, manifest.id),
    )
