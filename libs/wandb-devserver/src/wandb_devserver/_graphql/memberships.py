"""Resolvers for the versions of a collection: artifacts as members of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import ObjectType

from wandb_devserver._graphql.artifacts import DEFAULT_PAGE
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.filters import ARTIFACT_FIELDS, parse_filters
from wandb_devserver._graphql.projects import connection
from wandb_devserver._graphql.sorting import sort
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import memberships as membership_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._json import Json
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection
    from wandb_devserver._storage.memberships import StoredAlias, StoredMembership

    Version = tuple[StoredMembership, StoredArtifact]

membership_type = ObjectType("ArtifactCollectionMembership")
membership_type.set_alias("versionIndex", "version")
artifact_type = ObjectType("Artifact")

_ORDERS = {
    "version_index": lambda version: version[0].version,
    "created_at": lambda version: version[0].created_at,
    "updated_at": lambda version: version[1].updated_at,
    "size": lambda version: version[1].size,
}
_NEWEST_FIRST = "-version_index"


def versions_of(info: Info, found: list[StoredMembership], filters: str | None, order: str | None) -> list[Version]:
    """Pair memberships with their artifacts, filter and sort them."""
    database = info.context.connection
    artifacts = ((item, artifact_table.find_by_id(database, item.artifact_id)) for item in found)
    fields = {**ARTIFACT_FIELDS, "alias": lambda version: _alias_names(version[0], info)}
    matches = parse_filters(filters, fields)
    pairs = [(item, artifact) for item, artifact in artifacts if artifact]
    return sort([pair for pair in pairs if matches is None or matches(pair)], order or _NEWEST_FIRST, _ORDERS)


def page_of_artifacts(
    collection: StoredCollection, info: Info, after: str | None, first: int | None, sorting: dict[str, str | None]
) -> dict[str, Any]:
    """Return one page of the artifacts of a collection, each with its version there."""
    found = membership_table.page(info.context.connection, collection.id, newest_first=True)
    chosen = versions_of(info, found, sorting.get("filters"), sorting.get("order"))
    page = page_after(chosen, "Artifact", after, first)
    for edge in page["edges"]:
        membership, artifact = edge["node"]
        edge.update(node=artifact, version=f"v{membership.version}")
    return {**page, "total_count": len(chosen)}


def page_after(versions: list[Version], kind: str, after: str | None, first: int | None) -> dict[str, Any]:
    """Return the page of versions behind a cursor: the id of an artifact or of a membership."""
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    ids = [artifact.id if kind == "Artifact" else membership.id for membership, artifact in versions]
    start = ids.index(last) + 1 if after and (last := decode_id(kind, after)) in ids else 0
    found = zip(versions[start:], ids[start:], strict=True)
    return connection([(version, encode_id(kind, number)) for version, number in list(found)[: limit + 1]], limit)


@artifact_type.field("artifactMemberships")
def resolve_memberships(artifact: StoredArtifact, info: Info) -> dict[str, Any]:
    found = membership_table.of_artifact(info.context.connection, artifact.id)
    return {"edges": [{"node": membership} for membership in found]}


@membership_type.field("id")
def resolve_id(membership: StoredMembership, _: Info) -> str:
    return encode_id("ArtifactCollectionMembership", membership.id)


@membership_type.field("aliases")
def resolve_aliases(membership: StoredMembership, info: Info) -> list[StoredAlias]:
    return membership_table.aliases_of(info.context.connection, membership)


@membership_type.field("artifactCollection")
def resolve_collection(membership: StoredMembership, info: Info) -> StoredCollection | None:
    return collection_table.find_by_id(info.context.connection, membership.collection_id)


@membership_type.field("artifact")
def resolve_artifact(membership: StoredMembership, info: Info) -> StoredArtifact | None:
    return artifact_table.find_by_id(info.context.connection, membership.artifact_id)


@membership_type.field("files")
def resolve_files(
    membership: StoredMembership,
    info: Info,
    *,
    names: list[str] | None = None,
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    return _page_of_files(membership.artifact_id, info, names, after, first)


@artifact_type.field("files")
def resolve_artifact_files(
    artifact: StoredArtifact,
    info: Info,
    *,
    names: list[str] | None = None,
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    return _page_of_files(artifact.id, info, names, after, first)


@artifact_type.field("filesByManifestEntries")
def resolve_files_by_entries(
    artifact: StoredArtifact, info: Info, *, entries: list[dict[str, Any]] | None = None, **_: str | None
) -> dict[str, Any]:
    names = [entry["name"] for entry in entries or []]
    return _page_of_files(artifact.id, info, names, None, len(names))


def _page_of_files(
    artifact_id: int, info: Info, names: list[str] | None, after: str | None, first: int | None
) -> dict[str, Any]:
    database = info.context.connection
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("ArtifactEntry", after) if after else 0
    found = entry_table.page(database, artifact_id, names=names, after=start, limit=limit + 1)
    page = connection([(entry, encode_id("ArtifactEntry", entry.id)) for entry in found], limit)
    return {**page, "total_count": entry_table.count(database, artifact_id, names)}


def _alias_names(membership: StoredMembership, info: Info) -> list[Json]:
    return [alias.alias for alias in membership_table.aliases_of(info.context.connection, membership)]


BINDABLES = (membership_type, artifact_type)
