"""Resolvers for artifact collections, their types, and versions found by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import InterfaceType, ObjectType, QueryType

from wandb_devserver._errors import UsageError
from wandb_devserver._graphql.artifacts import DEFAULT_PAGE, edges
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.projects import connection
from wandb_devserver._json import loads_object
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import projects as project_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.artifacts import StoredAlias, StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection, StoredType
    from wandb_devserver._storage.projects import StoredProject

query = QueryType()
project_type = ObjectType("Project")
type_type = ObjectType("ArtifactType")
sequence_type = ObjectType("ArtifactSequence")
membership_type = ObjectType("ArtifactCollectionMembership")
membership_type.set_alias("versionIndex", "version")
collection_type = InterfaceType("ArtifactCollection", lambda *_: "ArtifactSequence")

_ORDERS = ("createdAt", "created_at", "versionIndex", "version_index")


@query.field("artifactCollection")
def resolve_by_id(_: object, info: Info, *, id: str) -> StoredCollection | None:  # noqa: A002
    return collection_table.find_by_id(info.context.connection, decode_id("ArtifactCollection", id))


@project_type.field("artifactCollectionMembership")
@project_type.field("artifact")
def resolve_named(project: StoredProject, info: Info, *, name: str) -> StoredArtifact | None:
    collection_name, _, reference = name.partition(":")
    collection = collection_table.find(info.context.connection, project.id, collection_name)
    if collection is None:
        return None
    return artifact_table.find_by_reference(info.context.connection, collection.id, reference or artifact_table.LATEST)


@project_type.field("artifactCollection")
def resolve_collection(project: StoredProject, info: Info, *, name: str) -> StoredCollection | None:
    return collection_table.find(info.context.connection, project.id, name)


@project_type.field("artifactCollections")
def resolve_collections(
    project: StoredProject, info: Info, *, after: str | None = None, first: int | None = None, **sorting: str | None
) -> dict[str, Any]:
    return _page_of_collections(info, project.id, None, after, first, sorting)


@project_type.field("artifactType")
def resolve_type(project: StoredProject, info: Info, *, name: str) -> StoredType | None:
    return collection_table.find_type(info.context.connection, project.id, name)


@project_type.field("artifactTypes")
def resolve_types(
    project: StoredProject, info: Info, *, after: str | None = None, first: int | None = None
) -> dict[str, Any]:
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("ArtifactType", after) if after else 0
    found = collection_table.page_types(info.context.connection, project.id, after=start, limit=limit + 1)
    return connection([(kind, encode_id("ArtifactType", kind.id)) for kind in found], limit)


@type_type.field("id")
def resolve_type_id(kind: StoredType, _: Info) -> str:
    return encode_id("ArtifactType", kind.id)


@type_type.field("artifactCollection")
def resolve_collection_of_type(kind: StoredType, info: Info, *, name: str) -> StoredCollection | None:
    collection = collection_table.find(info.context.connection, kind.project_id, name)
    return collection if collection and collection.type == kind.name else None


@type_type.field("artifactCollections")
def resolve_collections_of_type(
    kind: StoredType, info: Info, *, after: str | None = None, first: int | None = None, **sorting: str | None
) -> dict[str, Any]:
    return _page_of_collections(info, kind.project_id, kind.name, after, first, sorting)


@sequence_type.field("id")
def resolve_collection_id(collection: StoredCollection, _: Info) -> str:
    return encode_id("ArtifactCollection", collection.id)


@sequence_type.field("state")
def resolve_state(_: StoredCollection, __: Info) -> str:
    return "READY"


@sequence_type.field("project")
def resolve_project(collection: StoredCollection, info: Info) -> StoredProject | None:
    return project_table.find_by_id(info.context.connection, collection.project_id)


@sequence_type.field("defaultArtifactType")
def resolve_default_type(collection: StoredCollection, info: Info) -> StoredType | None:
    return collection_table.find_type(info.context.connection, collection.project_id, collection.type)


@sequence_type.field("tags")
def resolve_tags(_: StoredCollection, __: Info) -> dict[str, Any]:
    return {"edges": []}


@sequence_type.field("aliases")
def resolve_aliases(
    collection: StoredCollection, info: Info, *, after: str | None = None, first: int | None = None
) -> dict[str, Any]:
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("ArtifactAlias", after) if after else 0
    found = [alias for alias in artifact_table.aliases_in(info.context.connection, collection.id) if alias.id > start]
    return connection([(alias, encode_id("ArtifactAlias", alias.id)) for alias in found[: limit + 1]], limit)


@sequence_type.field("latestArtifact")
def resolve_latest(collection: StoredCollection, info: Info) -> StoredArtifact | None:
    return artifact_table.find_by_reference(info.context.connection, collection.id, artifact_table.LATEST)


@sequence_type.field("artifactMembership")
def resolve_membership(collection: StoredCollection, info: Info, *, alias_name: str) -> StoredArtifact | None:
    return artifact_table.find_by_reference(info.context.connection, collection.id, alias_name)


@sequence_type.field("artifacts")
def resolve_artifacts(
    collection: StoredCollection,
    info: Info,
    *,
    after: str | None = None,
    first: int | None = None,
    order: str | None = None,
    filters: str | None = None,
) -> dict[str, Any]:
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    newest_first = _newest_first(order)
    found = artifact_table.page(info.context.connection, collection.id, newest_first=newest_first)
    total = len(found) if _wants_committed(filters) else 0
    if after:
        # Versions are committed in another order than they are created in.
        last = artifact_table.find_by_id(info.context.connection, decode_id("Artifact", after))
        found = [item for item in found if last and _is_behind(item, last, newest_first=newest_first)]
    return edges(found[: limit + 1] if total else [], limit, total)


@membership_type.field("id")
def resolve_membership_id(artifact: StoredArtifact, _: Info) -> str:
    return encode_id("ArtifactCollectionMembership", artifact.id)


@membership_type.field("aliases")
def resolve_membership_aliases(artifact: StoredArtifact, info: Info) -> list[StoredAlias]:
    return artifact_table.aliases_of(info.context.connection, artifact.id)


@membership_type.field("artifactCollection")
def resolve_membership_collection(artifact: StoredArtifact, info: Info) -> StoredCollection | None:
    return collection_table.find_by_id(info.context.connection, artifact.collection_id)


@membership_type.field("artifact")
def resolve_membership_artifact(artifact: StoredArtifact, _: Info) -> StoredArtifact:
    return artifact


@membership_type.field("files")
def resolve_files(
    artifact: StoredArtifact,
    info: Info,
    *,
    names: list[str] | None = None,
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    database = info.context.connection
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("ArtifactEntry", after) if after else 0
    found = entry_table.page(database, artifact.id, names=names, after=start, limit=limit + 1)
    page = connection([(entry, encode_id("ArtifactEntry", entry.id)) for entry in found], limit)
    return {**page, "total_count": entry_table.count(database, artifact.id, names)}


def _page_of_collections(
    info: Info,
    project_id: int,
    type_name: str | None,
    after: str | None,
    first: int | None,
    sorting: dict[str, str | None],
) -> dict[str, Any]:
    if any(sorting.values()):
        # Not ARTIFACT_COLLECTIONS_FILTERING_SORTING: the SDK says so itself and does not ask.
        msg = f"collections of artifacts cannot be filtered or ordered, not by {sorting!r}: leave that out"
        raise UsageError(msg)
    database = info.context.connection
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("ArtifactCollection", after) if after else 0
    found = collection_table.page(database, project_id, type_name=type_name, after=start, limit=limit + 1)
    page = connection([(item, encode_id("ArtifactCollection", item.id)) for item in found], limit)
    return {**page, "total_count": collection_table.count(database, project_id, type_name)}


def _newest_first(order: str | None) -> bool:
    if not order:
        return True
    if order.lstrip("+-") not in _ORDERS:
        msg = f"cannot order artifacts by {order!r}: use one of {', '.join(_ORDERS)}"
        raise UsageError(msg)
    return order.startswith("-")


def _wants_committed(filters: str | None) -> bool:
    """Return whether committed artifacts, the only ones that are listed, pass."""
    wanted = loads_object(filters)
    if unknown := set(wanted) - {"state"}:
        msg = f"cannot filter artifacts by {', '.join(sorted(unknown))}: only by state"
        raise UsageError(msg)
    return wanted.get("state") in (None, artifact_table.COMMITTED)


def _is_behind(item: StoredArtifact, last: StoredArtifact, *, newest_first: bool) -> bool:
    assert item.version is not None
    assert last.version is not None
    return item.version < last.version if newest_first else item.version > last.version


BINDABLES = (query, project_type, type_type, sequence_type, membership_type, collection_type)
