"""Tables of multipart uploads and their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._storage.blobs import Blob


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An upload that is not completed yet; `md5` is that of the whole file."""

    id: str
    artifact_id: int
    md5: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    upload_id: str
    number: int
    blob: str
    size: int
    md5: str


def create(connection: sqlite3.Connection, upload_id: str, artifact_id: int, md5: str) -> StoredUpload:
    connection.execute("INSERT INTO multipart_uploads VALUES (?, ?, ?)", (upload_id, artifact_id, md5))
    return StoredUpload(upload_id, artifact_id, md5)


def find(connection: sqlite3.Connection, upload_id: str) -> StoredUpload | None:
    row = connection.execute("SELECT * FROM multipart_uploads WHERE id = ?", (upload_id,)).fetchone()
    return StoredUpload(**row) if row else None


def delete(connection: sqlite3.Connection, upload: StoredUpload) -> None:
    connection.execute("DELETE FROM multipart_uploads WHERE id = ?", (upload.id,))


def put_part(connection: sqlite3.Connection, upload_id: str, number: int, blob: Blob) -> str | None:
    """Store a part; return the name of the blob that it replaces, if any."""
    previous = connection.execute(
        "SELECT blob FROM upload_parts WHERE upload_id = ? AND number = ?", (upload_id, number)
    ).fetchone()
    connection.execute(
        "INSERT INTO upload_parts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET blob = excluded.blob, size = excluded.size, md5 = excluded.md5",
        (upload_id, number, blob.name, blob.size, blob.digest),
    )
    return previous["blob"] if previous else None


def parts(connection: sqlite3.Connection, upload_id: str) -> list[StoredPart]:
    rows = connection.execute("SELECT * FROM upload_parts WHERE upload_id = ? ORDER BY number", (upload_id,))
    return [StoredPart(**row) for row in rows]


def parts_of_artifact(connection: sqlite3.Connection, artifact_id: int) -> list[StoredPart]:
    """Return the parts of all unfinished uploads of an artifact."""
    rows = connection.execute(
        "SELECT upload_parts.* FROM upload_parts JOIN multipart_uploads ON multipart_uploads.id = upload_id "
        "WHERE artifact_id = ?",
        (artifact_id,),
    )
    return [StoredPart(**row) for row in rows]
