"""Resolvers for artifact collections, their types, and versions found by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import InterfaceType, ObjectType, QueryType

from wandb_devserver._errors import NotFoundError
from wandb_devserver._graphql.artifacts import DEFAULT_PAGE
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.filters import COLLECTION_FIELDS, parse_filters
from wandb_devserver._graphql.memberships import page_of_artifacts
from wandb_devserver._graphql.projects import connection
from wandb_devserver._graphql.sorting import sort
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import memberships as membership_table
from wandb_devserver._storage import projects as project_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._json import Json
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection, StoredTag, StoredType
    from wandb_devserver._storage.memberships import StoredMembership
    from wandb_devserver._storage.projects import StoredProject

query = QueryType()
project_type = ObjectType("Project")
type_type = ObjectType("ArtifactType")
sequence_type = ObjectType("ArtifactSequence")
collection_type = InterfaceType("ArtifactCollection", lambda collection, *_: _type_name(collection))
tag_type = ObjectType("Tag")

_TYPE_NAMES = {collection_table.SEQUENCE: "ArtifactSequence", collection_table.PORTFOLIO: "ArtifactPortfolio"}
_ORDERS = {
    "name": lambda collection: collection.name,
    "created_at": lambda collection: collection.created_at,
    "updated_at": lambda collection: collection.updated_at,
    "artifact_count": lambda collection: collection.versions,
    "type": lambda collection: collection.type,
}


def collection_by_id(context: Context, node_id: str) -> StoredCollection:
    """Return a collection that must exist.

    Raises:
        NotFoundError: if it was deleted.
    """
    collection = collection_table.find_by_id(context.connection, decode_id("ArtifactCollection", node_id))
    if collection is None:
        msg = f"artifact collection {node_id!r} does not exist"
        raise NotFoundError(msg)
    return collection


def page_of_collections(
    info: Info, found: list[StoredCollection], after: str | None, first: int | None, sorting: dict[str, str | None]
) -> dict[str, Any]:
    """Filter and sort collections, and return one page of them."""
    fields = {**COLLECTION_FIELDS, "tag": lambda collection: _tag_names(collection, info)}
    matches = parse_filters(sorting.get("filters"), fields)
    chosen = sort([item for item in found if matches is None or matches(item)], sorting.get("order"), _ORDERS)
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    ids = [item.id for item in chosen]
    start = ids.index(last) + 1 if after and (last := decode_id("ArtifactCollection", after)) in ids else 0
    page = [(item, encode_id("ArtifactCollection", item.id)) for item in chosen[start : start + limit + 1]]
    return {**connection(page, limit), "total_count": len(chosen)}


@query.field("artifactCollection")
def resolve_by_id(_: object, info: Info, *, id: str) -> StoredCollection | None:  # noqa: A002
    return collection_table.find_by_id(info.context.connection, decode_id("ArtifactCollection", id))


@project_type.field("artifactCollectionMembership")
def resolve_named(project: StoredProject, info: Info, *, name: str) -> StoredMembership | None:
    collection_name, _, reference = name.partition(":")
    collection = collection_table.find(info.context.connection, project.id, collection_name)
    if collection is None:
        return None
    return membership_table.find_by_reference(
        info.context.connection, collection.id, reference or membership_table.LATEST
    )


@project_type.field("artifact")
def resolve_artifact(project: StoredProject, info: Info, *, name: str) -> StoredArtifact | None:
    membership = resolve_named(project, info, name=name)
    return artifact_table.find_by_id(info.context.connection, membership.artifact_id) if membership else None


@project_type.field("artifactCollection")
def resolve_collection(project: StoredProject, info: Info, *, name: str) -> StoredCollection | None:
    return collection_table.find(info.context.connection, project.id, name)


@project_type.field("artifactCollections")
def resolve_collections(
    project: StoredProject, info: Info, *, after: str | None = None, first: int | None = None, **sorting: str | None
) -> dict[str, Any]:
    return page_of_collections(
        info, collection_table.page(info.context.connection, [project.id]), after, first, sorting
    )


@project_type.field("artifactType")
def resolve_type(project: StoredProject, info: Info, *, name: str) -> StoredType | None:
    return collection_table.find_type(info.context.connection, project.id, name)


@project_type.field("artifactTypes")
def resolve_types(
    project: StoredProject,
    info: Info,
    *,
    after: str | None = None,
    first: int | None = None,
    include_all: bool | None = None,  # noqa: ARG001 - the types of the project are all there are
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
    found = collection_table.page(info.context.connection, [kind.project_id], type_name=kind.name)
    return page_of_collections(info, found, after, first, sorting)


@collection_type.field("id")
def resolve_collection_id(collection: StoredCollection, _: Info) -> str:
    return encode_id("ArtifactCollection", collection.id)


@collection_type.field("state")
def resolve_state(_: StoredCollection, __: Info) -> str:
    return "READY"


@collection_type.field("project")
def resolve_project(collection: StoredCollection, info: Info) -> StoredProject | None:
    return project_table.find_by_id(info.context.connection, collection.project_id)


@collection_type.field("defaultArtifactType")
def resolve_default_type(collection: StoredCollection, info: Info) -> StoredType | None:
    return collection_table.find_type(info.context.connection, collection.project_id, collection.type)


@collection_type.field("tags")
def resolve_tags(collection: StoredCollection, info: Info) -> dict[str, Any]:
    return {"edges": [{"node": tag} for tag in collection_table.tags(info.context.connection, collection.id)]}


@collection_type.field("aliases")
def resolve_aliases(
    collection: StoredCollection, info: Info, *, after: str | None = None, first: int | None = None
) -> dict[str, Any]:
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("ArtifactAlias", after) if after else 0
    found = [alias for alias in membership_table.aliases_in(info.context.connection, collection.id) if alias.id > start]
    return connection([(alias, encode_id("ArtifactAlias", alias.id)) for alias in found[: limit + 1]], limit)


@collection_type.field("artifactMembership")
def resolve_membership(collection: StoredCollection, info: Info, *, alias_name: str) -> StoredMembership | None:
    return membership_table.find_by_reference(info.context.connection, collection.id, alias_name)


@collection_type.field("artifacts")
def resolve_artifacts(
    collection: StoredCollection,
    info: Info,
    *,
    after: str | None = None,
    first: int | None = None,
    **sorting: str | None,
) -> dict[str, Any]:
    return page_of_artifacts(collection, info, after, first, sorting)


@sequence_type.field("latestArtifact")
def resolve_latest(collection: StoredCollection, info: Info) -> StoredArtifact | None:
    found = membership_table.find_by_reference(info.context.connection, collection.id, membership_table.LATEST)
    return artifact_table.find_by_id(info.context.connection, found.artifact_id) if found else None


@sequence_type.field("digestAlgorithm")
def resolve_digest_algorithm(collection: StoredCollection, info: Info) -> str | None:
    return artifact_table.algorithm_of(info.context.connection, collection.id)


@tag_type.field("id")
def resolve_tag_id(tag: StoredTag | dict[str, str], _: Info) -> str:
    return tag["id"] if isinstance(tag, dict) else encode_id("Tag", tag.id)


def _type_name(collection: StoredCollection) -> str:
    return _TYPE_NAMES[collection.kind]


def _tag_names(collection: StoredCollection, info: Info) -> list[Json]:
    return [tag.name for tag in collection_table.tags(info.context.connection, collection.id)]


BINDABLES = (query, project_type, type_type, collection_type, sequence_type, tag_type)
