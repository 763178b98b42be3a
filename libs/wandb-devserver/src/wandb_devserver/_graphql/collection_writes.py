"""Resolvers that link artifacts, and change or delete artifact collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType

from wandb_devserver._domain.limits import (
    check_aliases,
    check_artifact_name,
    check_artifact_tags,
    check_artifact_type,
    check_project,
)
from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._graphql.artifacts import artifact_by_id, collection_of, remove
from wandb_devserver._graphql.collections import collection_by_id
from wandb_devserver._graphql.context import DEFAULT_PROJECT
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import memberships as membership_table
from wandb_devserver._storage import projects as project_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection

mutation = MutationType()


@mutation.field("linkArtifact")
def link_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    artifact = _artifact_to_link(context, input)
    portfolio = _open_portfolio(context, input, collection_of(context, artifact).type)
    membership = membership_table.add(context.connection, portfolio.id, artifact.id)
    aliases = check_aliases([item["alias"] for item in input.get("aliases") or []])
    membership_table.set_aliases(context.connection, membership, aliases)
    return {"version_index": membership.version, "artifact_membership": membership}


@mutation.field("unlinkArtifact")
def unlink_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context = info.context
    artifact = artifact_by_id(context, input["artifact_id"])
    portfolio = _of_kind(collection_by_id(context, input["artifact_portfolio_id"]), collection_table.PORTFOLIO)
    membership = membership_table.find(context.connection, portfolio.id, artifact.id)
    if membership is None:
        msg = f"artifact {input['artifact_id']!r} is not linked to {portfolio.name!r}"
        raise NotFoundError(msg)
    membership_table.remove(context.connection, membership)
    return {"success": True}


@mutation.field("updateArtifactSequence")
def update_sequence(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredCollection]:  # noqa: A002
    return _update(info.context, input["artifact_sequence_id"], collection_table.SEQUENCE, input)


@mutation.field("updateArtifactPortfolio")
def update_portfolio(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredCollection]:  # noqa: A002
    return _update(info.context, input["artifact_portfolio_id"], collection_table.PORTFOLIO, input)


@mutation.field("moveArtifactSequence")
def move_sequence(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredCollection]:  # noqa: A002
    context, node_id = info.context, input["artifact_sequence_id"]
    sequence = _of_kind(collection_by_id(context, node_id), collection_table.SEQUENCE)
    collection_table.move(context.connection, sequence, check_artifact_type(input["destination_artifact_type_name"]))
    return {"artifact_collection": collection_by_id(context, node_id)}


@mutation.field("createArtifactType")
def create_type(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    database = info.context.connection
    project = project_table.find_or_create(database, input["entity_name"], check_project(input["project_name"]))
    name = check_artifact_type(input["name"])
    return {"artifact_type": collection_table.find_or_create_type(database, project.id, name)}


@mutation.field("deleteArtifactSequence")
def delete_sequence(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    sequence = _of_kind(collection_by_id(context, input["artifact_sequence_id"]), collection_table.SEQUENCE)
    remove(context, artifact_table.all_in(context.connection, sequence.id))
    collection_table.delete(context.connection, sequence)
    return {"artifact_collection": sequence}


@mutation.field("deleteArtifactPortfolio")
def delete_portfolio(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    portfolio = _of_kind(collection_by_id(info.context, input["artifact_portfolio_id"]), collection_table.PORTFOLIO)
    collection_table.delete(info.context.connection, portfolio)
    return {"artifact_collection": portfolio}


@mutation.field("createArtifactCollectionTagAssignments")
def add_tags(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    collection = _named(info.context, input)
    tags = check_artifact_tags([tag["tag_name"] for tag in input["tags"]])
    collection_table.add_tags(info.context.connection, collection, tags)
    return {"tags": collection_table.tags(info.context.connection, collection.id)}


@mutation.field("deleteArtifactCollectionTagAssignments")
def delete_tags(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    collection = _named(info.context, input)
    collection_table.remove_tags(info.context.connection, collection, [tag["tag_name"] for tag in input["tags"]])
    return {"success": True}


def _artifact_to_link(context: Context, given: dict[str, Any]) -> StoredArtifact:
    if given.get("artifact_id"):
        artifact = artifact_by_id(context, given["artifact_id"])
    else:
        found = artifact_table.find_by_client_id(context.connection, given.get("client_id") or "")
        if found is None:
            msg = f"artifact with the client id {given.get('client_id')!r} does not exist: log it before linking it"
            raise NotFoundError(msg)
        artifact = found
    if artifact.state != artifact_table.COMMITTED:
        msg = "the artifact is not committed yet: wait for its upload before linking it"
        raise UsageError(msg)
    return artifact


def _open_portfolio(context: Context, given: dict[str, Any], type_name: str) -> StoredCollection:
    if given.get("artifact_portfolio_id"):
        return _of_kind(collection_by_id(context, given["artifact_portfolio_id"]), collection_table.PORTFOLIO)
    name = check_artifact_name(given.get("artifact_portfolio_name") or "")
    entity = given.get("entity_name") or context.default_entity
    project_name = check_project(given.get("project_name") or DEFAULT_PROJECT)
    project = project_table.find_or_create(context.connection, entity, project_name)
    if not project.allows_all_types and not collection_table.find_type(context.connection, project.id, type_name):
        msg = f"registry {project_name!r} does not allow artifacts of type {type_name!r}: add that type to it first"
        raise UsageError(msg)
    return collection_table.find_or_create(
        context.connection, project.id, type_name, name, kind=collection_table.PORTFOLIO
    )


def _update(context: Context, node_id: str, kind: str, given: dict[str, Any]) -> dict[str, StoredCollection]:
    collection = _of_kind(collection_by_id(context, node_id), kind)
    name = check_artifact_name(given["name"]) if given.get("name") else None
    collection_table.edit(context.connection, collection, name=name, description=given.get("description"))
    return {"artifact_collection": collection_by_id(context, node_id)}


def _of_kind(collection: StoredCollection, kind: str) -> StoredCollection:
    if collection.kind != kind:
        msg = f"{collection.name!r} is a collection of the kind {collection.kind.lower()}, not {kind.lower()}"
        raise UsageError(msg)
    return collection


def _named(context: Context, given: dict[str, Any]) -> StoredCollection:
    project = context.project(given["entity_name"], given["project_name"])
    name = given["artifact_collection_name"]
    collection = collection_table.find(context.connection, project.id, name) if project else None
    if collection is None:
        msg = f"artifact collection '{given['entity_name']}/{given['project_name']}/{name}' does not exist"
        raise NotFoundError(msg)
    return collection


BINDABLES = (mutation,)
