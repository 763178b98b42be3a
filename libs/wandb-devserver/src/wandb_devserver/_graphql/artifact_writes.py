"""Resolvers that edit, use and delete artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType

from wandb_devserver._domain.limits import check_aliases, check_artifact_tags
from wandb_devserver._errors import UsageError
from wandb_devserver._graphql.artifact_uploads import refuse_unsupported, run_of, ttl_of
from wandb_devserver._graphql.artifacts import artifact_by_id, collection_of, remove
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import memberships as membership_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.memberships import StoredMembership

mutation = MutationType()


@mutation.field("updateArtifact")
def update_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    refuse_unsupported(input)
    artifact = artifact_by_id(context, input["artifact_id"])
    removed = {tag["tag_name"] for tag in input.get("tags_to_delete") or []}
    added = check_artifact_tags([tag["tag_name"] for tag in input.get("tags_to_add") or []])
    artifact_table.edit(
        context.connection,
        artifact,
        description=input.get("description"),
        metadata=input.get("metadata"),
        tags=list(dict.fromkeys([*(tag for tag in artifact.tags if tag not in removed), *added])),
    )
    if input.get("ttl_duration_seconds") is not None:
        artifact_table.set_ttl(context.connection, artifact, ttl_of(input["ttl_duration_seconds"]))
    if input.get("aliases") is not None:
        _replace_aliases(context, artifact, input["aliases"])
    return {"artifact": artifact_by_id(context, input["artifact_id"])}


@mutation.field("deleteArtifact")
def delete_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    artifact = artifact_by_id(context, input["artifact_id"])
    aliases = [alias.alias for alias in membership_table.aliases_of_artifact(context.connection, artifact.id)]
    if aliases and not input.get("delete_aliases"):
        name = collection_of(context, artifact).name
        msg = f"'{name}:v{artifact.version}' has aliases {aliases!r}: remove them first, or set delete_aliases"
        raise UsageError(msg)
    remove(context, [artifact])
    return {"artifact": artifact}


@mutation.field("useArtifact")
def use_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    artifact = artifact_by_id(context, input["artifact_id"])
    artifact_table.link_run(context.connection, run_of(context, input).id, artifact, "input")
    return {"artifact": artifact}


@mutation.field("addAliases")
def add_aliases(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    artifact = artifact_by_id(info.context, input["artifact_id"])
    for item in input["aliases"]:
        membership = _membership_named(info.context, artifact, item)
        membership_table.set_aliases(info.context.connection, membership, check_aliases([item["alias"]]))
    return {"success": True}


@mutation.field("deleteAliases")
def delete_aliases(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    artifact = artifact_by_id(info.context, input["artifact_id"])
    for item in input["aliases"]:
        membership = _membership_named(info.context, artifact, item)
        membership_table.remove_aliases(info.context.connection, membership, [item["alias"]])
    return {"success": True}


def _membership_named(context: Context, artifact: StoredArtifact, given: dict[str, Any]) -> StoredMembership:
    """Return the membership of an artifact in the collection that an alias is for, its own sequence by default."""
    own = collection_of(context, artifact)
    name, entity, project_name = (given.get(key) for key in ("artifact_collection_name", "entity_name", "project_name"))
    project = context.project(entity, project_name) if project_name else None
    project_id = project.id if project else own.project_id
    collection = collection_table.find(context.connection, project_id, name) if name else own
    membership = membership_table.find(context.connection, collection.id, artifact.id) if collection else None
    if membership is None:
        msg = f"alias {given['alias']!r}: the artifact is not a version of {name!r}, link it to that collection first"
        raise UsageError(msg)
    return membership


def _replace_aliases(context: Context, artifact: StoredArtifact, given: list[dict[str, Any]]) -> None:
    """Make `given` the aliases of an artifact in the collections that they name; none removes those of its sequence."""
    own = collection_of(context, artifact)
    wanted: dict[str, list[str]] = {} if given else {own.name: []}
    for item in given:
        wanted.setdefault(item.get("artifact_collection_name") or own.name, []).append(item["alias"])
    for name, aliases in wanted.items():
        membership = _membership_named(context, artifact, {"artifact_collection_name": name, "alias": aliases})
        present = [alias.alias for alias in membership_table.aliases_of(context.connection, membership)]
        removed = [alias for alias in present if alias not in aliases]
        membership_table.remove_aliases(context.connection, membership, removed)
        membership_table.set_aliases(context.connection, membership, check_aliases(aliases))


BINDABLES = (mutation,)
