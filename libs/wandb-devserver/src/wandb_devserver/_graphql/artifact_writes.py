"""Resolvers that create, fill, edit and delete artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType

from wandb_devserver._domain.limits import check_file_name, check_project
from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._graphql.artifacts import artifact_by_id, collection_of, manifest
from wandb_devserver._graphql.context import DEFAULT_PROJECT, decode_id, encode_id
from wandb_devserver._graphql.manifests import check_md5, read_manifest
from wandb_devserver._http import links
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import projects as project_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection
    from wandb_devserver._storage.runs import StoredRun

mutation = MutationType()

_UNSUPPORTED = {
    "distributed_id": "distributedID",
    "labels": "labels",
    "storage_region": "storageRegion",
    "cloud_region_id": "cloudRegionID",
    "ttl_duration_seconds": "ttlDurationSeconds",
}
# Values by which clients leave a field out; a TTL of -1 or -2 too.
_NOTHING = (None, "", "null", "[]", "{}", -1, -2)


@mutation.field("createArtifact")
def create_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    _refuse_unsupported(input)
    run = _run_of(context, input) if input.get("run_name") else None
    collection = _open_collection(context, input)
    aliases = [item["alias"] for item in input.get("aliases") or []]
    found = _known(context, input, collection)
    if found is None:
        new = artifact_table.NewArtifact(
            digest=input["digest"],
            client_id=input.get("client_id"),
            run_id=run.id if run else None,
            description=input.get("description"),
            metadata=input.get("metadata"),
            tags=[tag["tag_name"] for tag in input.get("tags") or []],
            aliases=aliases,
            history_step=input.get("history_step"),
        )
        found = artifact_table.create(context.connection, collection, new)
    elif found.state == artifact_table.COMMITTED:
        artifact_table.set_aliases(context.connection, found, aliases)
        if run is not None:
            artifact_table.link_run(context.connection, run.id, found, "output")
    return {"artifact": found}


@mutation.field("createArtifactManifest")
def create_manifest(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    artifact, digest = artifact_by_id(context, input["artifact_id"]), input["digest"]
    if digest and digest != artifact.manifest_digest:
        _check_pending(artifact)
        artifact_table.set_manifest(context.connection, artifact, check_md5(digest, "manifest"))
        if artifact.manifest_digest:
            _remove_unused(context, {artifact.manifest_digest})
    return {"artifact_manifest": manifest(artifact_by_id(context, input["artifact_id"]))}


@mutation.field("createArtifactFiles")
def create_files(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    _refuse_unsupported(input)
    nodes = [_announce(info.context, given) for given in input["artifact_files"]]
    return {"files": {"edges": [{"node": node} for node in nodes]}}


@mutation.field("commitArtifact")
def commit_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    artifact = artifact_by_id(context, input["artifact_id"])
    if artifact.state == artifact_table.PENDING:
        entries = read_manifest(context, artifact)
        entry_table.fill(context.connection, artifact.id, entries)
        size = sum(entry.size for entry in entries)
        artifact_table.commit(context.connection, artifact, size=size, file_count=len(entries))
    return {"artifact": artifact_by_id(context, input["artifact_id"])}


@mutation.field("updateArtifact")
def update_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    _refuse_unsupported(input)
    artifact = artifact_by_id(context, input["artifact_id"])
    removed = {tag["tag_name"] for tag in input.get("tags_to_delete") or []}
    added = [tag["tag_name"] for tag in input.get("tags_to_add") or []]
    artifact_table.edit(
        context.connection,
        artifact,
        description=input.get("description"),
        metadata=input.get("metadata"),
        tags=list(dict.fromkeys([*(tag for tag in artifact.tags if tag not in removed), *added])),
    )
    if input.get("aliases") is not None:
        kept = [item["alias"] for item in input["aliases"]]
        _replace_aliases(context, artifact, kept)
    return {"artifact": artifact_by_id(context, input["artifact_id"])}


@mutation.field("deleteArtifact")
def delete_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    artifact = artifact_by_id(context, input["artifact_id"])
    aliases = [alias.alias for alias in artifact_table.aliases_of(context.connection, artifact.id)]
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
    artifact_table.link_run(context.connection, _run_of(context, input).id, artifact, "input")
    return {"artifact": artifact}


@mutation.field("addAliases")
def add_aliases(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    artifact = artifact_by_id(info.context, input["artifact_id"])
    artifact_table.set_aliases(info.context.connection, artifact, _own_aliases(info.context, artifact, input))
    return {"success": True}


@mutation.field("deleteAliases")
def delete_aliases(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    artifact = artifact_by_id(info.context, input["artifact_id"])
    artifact_table.remove_aliases(info.context.connection, artifact, _own_aliases(info.context, artifact, input))
    return {"success": True}


@mutation.field("updateArtifactSequence")
def update_sequence(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredCollection]:  # noqa: A002
    context = info.context
    collection = _collection_by_id(context, input["artifact_sequence_id"])
    collection_table.edit(context.connection, collection, name=input.get("name"), description=input.get("description"))
    return {"artifact_collection": _collection_by_id(context, input["artifact_sequence_id"])}


@mutation.field("deleteArtifactSequence")
def delete_sequence(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredCollection]:  # noqa: A002
    context = info.context
    collection = _collection_by_id(context, input["artifact_sequence_id"])
    remove(context, artifact_table.all_in(context.connection, collection.id))
    collection_table.delete(context.connection, collection)
    return {"artifact_collection": collection}


def remove(context: Context, artifacts: list[StoredArtifact]) -> None:
    """Delete artifacts, and the contents that nothing else needs."""
    contents: set[str] = set()
    for artifact in artifacts:
        contents |= entry_table.contents_of(context.connection, artifact.id)
        artifact_table.delete(context.connection, artifact)
    _remove_unused(context, contents)


def remove_logged_by(context: Context, run: StoredRun) -> None:
    """Delete the artifacts that a run created."""
    remove(context, artifact_table.created_by(context.connection, run.id))


def _announce(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    artifact = artifact_by_id(context, given["artifact_id"])
    name, md5 = check_file_name(given["name"]), check_md5(given["md_5"], given["name"])
    _check_pending(artifact)
    entry_table.claim(context.connection, artifact.id, md5)
    is_here = entry_table.find_blob(context.connection, md5) is not None
    url = None if is_here else links.blob_upload_url(context.backend, context.base_url, md5, name)
    return {"upload_url": url, "upload_headers": [], "artifact": artifact}


def _open_collection(context: Context, given: dict[str, Any]) -> StoredCollection:
    names = given.get("artifact_collection_names") or [given.get("artifact_collection_name")]
    name = names[0] or ""
    if len(names) > 1 or not name.strip() or any(char in name for char in "/:"):
        msg = f"artifactCollectionName is {names!r}: use one name without '/' and ':'"
        raise UsageError(msg)
    entity, project_name = _home(context, given)
    project = project_table.find_or_create(context.connection, entity, check_project(project_name))
    return collection_table.find_or_create(context.connection, project.id, given["artifact_type_name"], name)


def _home(context: Context, given: dict[str, Any]) -> tuple[str, str]:
    # A run that was offline never learned its entity: the sync of its artifacts names none.
    return given["entity_name"] or context.backend.entity, given["project_name"] or DEFAULT_PROJECT


def _run_of(context: Context, given: dict[str, Any]) -> StoredRun:
    return context.run(*_home(context, given), given["run_name"])


def _known(context: Context, given: dict[str, Any], collection: StoredCollection) -> StoredArtifact | None:
    """Return the artifact of a repeated request, or the version that has the same contents."""
    client_id = given.get("client_id")
    found = artifact_table.find_by_client_id(context.connection, client_id) if client_id else None
    if found is not None and found.collection_id == collection.id:
        return found
    if not given.get("enable_digest_deduplication"):
        return None
    return artifact_table.find_by_digest(context.connection, collection.id, given["digest"])


def _own_aliases(context: Context, artifact: StoredArtifact, given: dict[str, Any]) -> list[str]:
    collection = collection_of(context, artifact)
    for item in given["aliases"]:
        other = item.get("artifact_collection_name")
        if other not in (None, collection.name):
            msg = f"alias {item['alias']!r} is for {other!r}, not {collection.name!r}: there are no links"
            raise UsageError(msg)
    return [item["alias"] for item in given["aliases"]]


def _replace_aliases(context: Context, artifact: StoredArtifact, aliases: list[str]) -> None:
    present = [alias.alias for alias in artifact_table.aliases_of(context.connection, artifact.id)]
    artifact_table.remove_aliases(context.connection, artifact, [alias for alias in present if alias not in aliases])
    artifact_table.set_aliases(context.connection, artifact, aliases)


def _collection_by_id(context: Context, node_id: str) -> StoredCollection:
    collection = collection_table.find_by_id(context.connection, decode_id("ArtifactCollection", node_id))
    if collection is None:
        msg = f"there is no artifact collection with the id {node_id!r}"
        raise NotFoundError(msg)
    return collection


def _check_pending(artifact: StoredArtifact) -> None:
    if artifact.state != artifact_table.PENDING:
        msg = f"artifact {encode_id('Artifact', artifact.id)!r} is committed: log a new version to change its contents"
        raise UsageError(msg)


def _refuse_unsupported(given: dict[str, Any]) -> None:
    for field, name in _UNSUPPORTED.items():
        if given.get(field) not in _NOTHING:
            msg = f"{name} is {given[field]!r}: wandb-devserver does not support it, leave it out"
            raise UsageError(msg)


def _remove_unused(context: Context, contents: set[str]) -> None:
    context.unused_blobs += entry_table.forget_unused(context.connection, contents)


BINDABLES = (mutation,)
