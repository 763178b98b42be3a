"""Resolvers that create artifacts, receive their files and commit them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType

from wandb_devserver._domain.digests import MD5
from wandb_devserver._domain.limits import (
    check_aliases,
    check_artifact_name,
    check_artifact_tags,
    check_artifact_type,
    check_file_name,
    check_project,
)
from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._graphql import multipart
from wandb_devserver._graphql.artifacts import artifact_by_id, manifest, remove
from wandb_devserver._graphql.context import DEFAULT_PROJECT, decode_id, encode_id
from wandb_devserver._graphql.manifests import check_digest, complete_manifest, to_hex
from wandb_devserver._http import links
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import manifests as manifest_table
from wandb_devserver._storage import memberships as membership_table
from wandb_devserver._storage import projects as project_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection
    from wandb_devserver._storage.runs import StoredRun

mutation = MutationType()

_UNSUPPORTED = {"labels": "labels", "storage_region": "storageRegion", "cloud_region_id": "cloudRegionID"}
# The only one, with the name that W&B's own test server gives it.
_STORAGE_REGION = "minio-local"
_EMPTY = (None, "", "null", "[]", "{}")


@mutation.field("createArtifact")
def create_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    refuse_unsupported(input)
    remove(context, artifact_table.expired(context.connection))
    run = run_of(context, input) if input.get("run_name") else None
    collection = _open_collection(context, input)
    aliases = check_aliases([item["alias"] for item in input.get("aliases") or []])
    found = _known(context, input, collection)
    if found is None:
        found = artifact_table.create(context.connection, collection, _new_artifact(input, run, aliases))
    elif found.state == artifact_table.PENDING:
        artifact_table.request_aliases(context.connection, found, aliases)
    else:
        membership = membership_table.find(context.connection, collection.id, found.id)
        assert membership is not None
        membership_table.set_aliases(context.connection, membership, aliases)
        if run is not None:
            artifact_table.link_run(context.connection, run.id, found, "output")
    if input.get("client_id"):
        artifact_table.add_client(context.connection, found, input["client_id"])
    return {"artifact": found}


@mutation.field("createArtifactManifest")
def create_manifest(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    artifact = artifact_by_id(context, input["artifact_id"])
    if artifact.state == artifact_table.COMMITTED and input["digest"] == artifact.manifest_digest:
        return {"artifact_manifest": manifest(artifact)}
    _check_pending(artifact)
    base = input.get("base_artifact_id")
    manifest_id = manifest_table.create(
        context.connection,
        artifact.id,
        input.get("type") or manifest_table.FULL,
        decode_id("Artifact", base) if base else None,
    )
    return _write_manifest(context, manifest_id, input["digest"], None)


@mutation.field("updateArtifactManifest")
def update_manifest(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    base = input.get("base_artifact_id")
    return _write_manifest(
        info.context,
        decode_id("ArtifactManifest", input["artifact_manifest_id"]),
        input.get("digest"),
        decode_id("Artifact", base) if base else None,
    )


@mutation.field("createArtifactFiles")
def create_files(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    refuse_unsupported(input)
    nodes = [_announce(info.context, given) for given in input["artifact_files"]]
    return {"files": {"edges": [{"node": node} for node in nodes]}}


@mutation.field("commitArtifact")
def commit_artifact(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredArtifact]:  # noqa: A002
    context = info.context
    artifact = artifact_by_id(context, input["artifact_id"])
    if artifact.state == artifact_table.PENDING:
        complete = complete_manifest(context, artifact)
        entry_table.fill(context.connection, artifact.id, complete.entries)
        artifact_table.commit(
            context.connection,
            artifact,
            digest=complete.artifact_digest,
            manifest_digest=complete.md5,
            commit_hash=to_hex(complete.md5),
            size=sum(entry.size for entry in complete.entries),
            file_count=len(complete.entries),
        )
    return {"artifact": artifact_by_id(context, input["artifact_id"])}


def run_of(context: Context, given: dict[str, Any]) -> StoredRun:
    """Return the run that a request names."""
    return context.run(*_home(context, given), given["run_name"])


def refuse_unsupported(given: dict[str, Any]) -> None:
    """Refuse fields that this server would ignore.

    Raises:
        UsageError: if one is set.
    """
    if given.get("storage_region") == _STORAGE_REGION:
        given = {**given, "storage_region": None}
    for field, name in _UNSUPPORTED.items():
        if given.get(field) not in _EMPTY:
            msg = f"invalid {name}: {given[field]!r}: wandb-devserver does not support {name}, omit it"
            raise UsageError(msg)


def _new_artifact(given: dict[str, Any], run: StoredRun | None, aliases: list[str]) -> artifact_table.NewArtifact:
    return artifact_table.NewArtifact(
        digest=given["digest"],
        digest_algorithm=given.get("digest_algorithm") or MD5,
        distributed_id=given.get("distributed_id") or None,
        run_id=run.id if run else None,
        description=given.get("description"),
        metadata=given.get("metadata"),
        tags=check_artifact_tags([tag["tag_name"] for tag in given.get("tags") or []]),
        aliases=aliases,
        history_step=given.get("history_step"),
        ttl_seconds=ttl_of(given.get("ttl_duration_seconds")),
    )


def ttl_of(sent: int | None) -> int | None:
    """Return the time to live that a request sets; None where it inherits that of the collection."""
    return None if sent in (None, 0, -1) else sent


def _write_manifest(context: Context, manifest_id: int, digest: str | None, base: int | None) -> dict[str, Any]:
    stored = manifest_table.find(context.connection, manifest_id)
    if stored is None:
        msg = f"artifact manifest {encode_id('ArtifactManifest', manifest_id)!r} does not exist"
        raise NotFoundError(msg)
    _check_pending(artifact_by_id(context, encode_id("Artifact", stored.artifact_id)))
    new = check_digest(digest, "manifest") if digest else None
    manifest_table.update(context.connection, stored, new, base)
    if new and stored.digest and stored.digest != new:
        context.unused_blobs += entry_table.forget_unused(context.connection, {stored.digest})
    return {
        "artifact_manifest": {
            "id": encode_id("ArtifactManifest", manifest_id),
            "digest": new or stored.digest,
            "file_name": manifest_table.FILE_NAMES[stored.type],
        }
    }


def _announce(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    artifact = artifact_by_id(context, given["artifact_id"])
    name, digest = check_file_name(given["name"]), check_digest(given.get("digest") or given["md_5"], given["name"])
    _check_pending(artifact)
    entry_table.claim(context.connection, artifact.id, digest)
    path = links.storage_path(artifact.collection_id, artifact.id, digest)
    node: dict[str, Any] = {
        "id": f"{artifact.id}:{name}",
        "name": name,
        "display_name": name,
        "storage_path": path,
        "upload_headers": [],
        "artifact": artifact,
    }
    if entry_table.find_blob(context.connection, digest) is None:
        node["upload_url"] = links.blob_upload_url(
            context.backend, context.base_url, digest, name, path, artifact.digest_algorithm
        )
        if parts := given.get("upload_parts_input"):
            node["upload_multipart_urls"] = multipart.begin(context, artifact, node | {"digest": digest}, parts)
    return node


def _open_collection(context: Context, given: dict[str, Any]) -> StoredCollection:
    names = given.get("artifact_collection_names") or [given.get("artifact_collection_name")]
    if len(names) > 1:
        msg = f"artifactCollectionNames is {names!r}: use one name"
        raise UsageError(msg)
    name, type_name = check_artifact_name(names[0] or ""), check_artifact_type(given["artifact_type_name"])
    entity, project_name = _home(context, given)
    project = project_table.find_or_create(context.connection, entity, check_project(project_name))
    return collection_table.find_or_create(context.connection, project.id, type_name, name)


def _home(context: Context, given: dict[str, Any]) -> tuple[str, str]:
    # A run that was offline never learned its entity: the sync of its artifacts names none.
    return given["entity_name"] or context.default_entity, given["project_name"] or DEFAULT_PROJECT


def _known(context: Context, given: dict[str, Any], collection: StoredCollection) -> StoredArtifact | None:
    """Return the artifact of a repeated request, the one that others fill too, or one with the same contents."""
    client_id, distributed_id = given.get("client_id"), given.get("distributed_id")
    found = artifact_table.find_by_client_id(context.connection, client_id) if client_id else None
    if found is not None and found.collection_id == collection.id:
        return found
    if distributed_id:
        return artifact_table.find_distributed(context.connection, collection.id, distributed_id)
    if not given.get("enable_digest_deduplication"):
        return None
    return artifact_table.find_by_digest(context.connection, collection.id, given["digest"])


def _check_pending(artifact: StoredArtifact) -> None:
    if artifact.state != artifact_table.PENDING:
        msg = f"artifact {encode_id('Artifact', artifact.id)!r} is committed: log a new version to change its contents"
        raise UsageError(msg)


BINDABLES = (mutation,)
