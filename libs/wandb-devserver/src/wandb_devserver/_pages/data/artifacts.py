"""Data of artifact pages."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import quote

from wandb_devserver._json import Json, JsonObject, loads_object
from wandb_devserver._pages.data.endpoints import endpoint
from wandb_devserver._pages.data.projects import run_row
from wandb_devserver._pages.data.urls import path, web_link
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import memberships as member_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from wandb_devserver._storage.artifact_files import StoredEntry
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection
    from wandb_devserver._storage.memberships import StoredMembership
    from wandb_devserver._storage.projects import StoredProject

_ENTRIES_SHOWN = 1000
_COLLECTIONS_SHOWN = 1000


def artifact_row(connection: sqlite3.Connection, artifact: StoredArtifact) -> JsonObject:
    """Return what every list of artifacts shows of an artifact, under the name of its sequence."""
    return _version_row(connection, artifact, member_table.of_artifact(connection, artifact.id)[0])


def _version_row(connection: sqlite3.Connection, artifact: StoredArtifact, member: StoredMembership) -> JsonObject:
    collection, project = _home(connection, member.collection_id)
    return {
        "name": f"{collection.name}:v{member.version}",
        "type": collection.type,
        "url": f"{_collection_url(project, collection)}/v{member.version}",
        "version": member.version,
        "aliases": [alias.alias for alias in member_table.aliases_of(connection, member)],
        "tags": list(artifact.tags),
        "size": artifact.size,
        "files": artifact.file_count,
        "created": member.created_at,
    }


def artifacts(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return the collections of a project."""
    project = project_table.find(connection, request.path_params["entity"], request.path_params["project"])
    if project is None:
        return None
    collections = collection_table.page(connection, [project.id])
    return {
        "count": len(collections),
        "collections": [
            {
                "name": collection.name,
                "type": collection.type,
                "url": _collection_url(project, collection),
                "versions": len(member_table.page(connection, collection.id, newest_first=True)),
                "updated": collection.updated_at,
            }
            for collection in collections[:_COLLECTIONS_SHOWN]
        ],
    }


def find_collection(connection: sqlite3.Connection, parts: dict[str, str]) -> StoredCollection | None:
    """Return the collection of a page's path."""
    project = project_table.find(connection, parts["entity"], parts["project"])
    found = collection_table.find(connection, project.id, parts["name"]) if project else None
    return found if found and found.type == parts["type"] else None


def artifact(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return the versions of a collection, and one of them with its files and lineage (the newest by default)."""
    parts = request.path_params
    collection = find_collection(connection, parts)
    if collection is None:
        return None
    members = member_table.page(connection, collection.id, newest_first=True)
    reference = parts.get("version")
    shown = (
        member_table.find_by_reference(connection, collection.id, reference) if reference else next(iter(members), None)
    )
    if reference and shown is None:
        return None
    found = ((member, artifact_table.find_by_id(connection, member.artifact_id)) for member in members)
    return {
        "name": collection.name,
        "type": collection.type,
        "description": collection.description,
        "versions": [_version_row(connection, version, member) for member, version in found if version],
        "shown": _details(connection, shown) if shown else None,
    }


def _details(connection: sqlite3.Connection, member: StoredMembership) -> JsonObject | None:
    shown = artifact_table.find_by_id(connection, member.artifact_id)
    if shown is None:
        return None
    collection, project = _home(connection, shown.collection_id)
    entries = entry_table.page(connection, shown.id, names=None, after=0, limit=_ENTRIES_SHOWN)
    base = path("artifactsV2", "local", project.entity, project.name, collection.name, "_")
    maker = run_table.find_by_id(connection, shown.run_id) if shown.run_id else None
    users = (run_table.find_by_id(connection, run_id) for run_id in artifact_table.users(connection, shown.id))
    return {
        **_version_row(connection, shown, member),
        "description": shown.description,
        "digest": shown.digest,
        "metadata": loads_object(shown.metadata),
        "logged_by": run_row(maker) if maker else None,
        "used_by": [run_row(user) for user in users if user],
        "entries": [_entry(base, entry) for entry in entries],
    }


def _home(connection: sqlite3.Connection, collection_id: int) -> tuple[StoredCollection, StoredProject]:
    collection = collection_table.find_by_id(connection, collection_id)
    project = project_table.find_by_id(connection, collection.project_id) if collection else None
    assert collection is not None
    assert project is not None
    return collection, project


def _entry(base: str, entry: StoredEntry) -> Json:
    return {"name": entry.name, "size": entry.size, "url": _entry_url(base, entry), "reference": entry.reference}


def _entry_url(base: str, entry: StoredEntry) -> str | None:
    if entry.reference is not None:
        return web_link(entry.reference)
    try:
        digest = base64.b64decode(entry.digest, validate=True).hex()
    except binascii.Error:
        return None
    return f"{base}/{digest}/{quote(entry.name)}"


def _collection_url(project: StoredProject, collection: StoredCollection) -> str:
    return path(project.entity, project.name, "artifacts", collection.type, collection.name)


ROUTES = [
    endpoint("/artifacts/{entity}/{project}", artifacts),
    endpoint("/artifact/{entity}/{project}/{type}/{name}", artifact),
    endpoint("/artifact/{entity}/{project}/{type}/{name}/{version}", artifact),
]
