"""Resolvers for the fields of an artifact, and for the artifacts of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import ObjectType, QueryType, UnionType

from wandb_devserver._errors import NotFoundError
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.projects import connection
from wandb_devserver._http import links
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import collections as collection_table
from wandb_devserver._storage import manifests as manifest_table
from wandb_devserver._storage import memberships as membership_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import uploads as upload_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._storage.artifacts import Role, StoredArtifact
    from wandb_devserver._storage.collections import StoredCollection, StoredType
    from wandb_devserver._storage.memberships import StoredAlias
    from wandb_devserver._storage.runs import StoredRun

query = QueryType()
artifact_type = ObjectType("Artifact")
artifact_type.set_alias("versionIndex", "version")
alias_type = ObjectType("ArtifactAlias")
manifest_type = ObjectType("ArtifactManifest")
run_type = ObjectType("Run")
creator_type = UnionType("ArtifactCreator", lambda *_: "Run")

DEFAULT_PAGE = 50


def artifact_by_id(context: Context, node_id: str) -> StoredArtifact:
    """Return an artifact that must exist.

    Raises:
        NotFoundError: if it was deleted.
    """
    artifact = artifact_table.find_by_id(context.connection, decode_id("Artifact", node_id))
    if artifact is None:
        msg = f"artifact {node_id!r} does not exist"
        raise NotFoundError(msg)
    return artifact


def collection_of(context: Context, artifact: StoredArtifact) -> StoredCollection:
    collection = collection_table.find_by_id(context.connection, artifact.collection_id)
    assert collection is not None
    return collection


def manifest(artifact: StoredArtifact) -> dict[str, Any]:
    """Return the manifest of a committed artifact."""
    return {
        "id": encode_id("ArtifactManifest", artifact.id),
        "digest": artifact.manifest_digest,
        "file_name": manifest_table.FILE_NAMES[manifest_table.FULL],
    }


def remove(context: Context, artifacts: list[StoredArtifact]) -> None:
    """Delete artifacts, and the contents that no other artifact needs."""
    contents: set[str] = set()
    for artifact in artifacts:
        contents |= entry_table.contents_of(context.connection, artifact.id)
        context.unused_blobs += [part.blob for part in upload_table.parts_of_artifact(context.connection, artifact.id)]
        artifact_table.delete(context.connection, artifact)
    context.unused_blobs += entry_table.forget_unused(context.connection, contents)


def edges(artifacts: list[StoredArtifact], limit: int, total: int) -> dict[str, Any]:
    """Return one page of artifacts; one more than `limit` means that another page follows."""
    page = connection([(artifact, encode_id("Artifact", artifact.id)) for artifact in artifacts], limit)
    for edge in page["edges"]:
        edge["version"] = f"v{edge['node'].version}"
    return {**page, "total_count": total}


@query.field("artifact")
def resolve_artifact(_: object, info: Info, *, id: str) -> StoredArtifact | None:  # noqa: A002
    return artifact_table.find_by_id(info.context.connection, decode_id("Artifact", id))


@query.field("clientIDMapping")
def resolve_client_id(_: object, info: Info, *, client_id: str) -> dict[str, str] | None:
    artifact = artifact_table.find_by_client_id(info.context.connection, client_id)
    return {"server_id": encode_id("Artifact", artifact.id)} if artifact else None


@artifact_type.field("id")
def resolve_id(artifact: StoredArtifact, _: Info) -> str:
    return encode_id("Artifact", artifact.id)


@artifact_type.field("artifactSequence")
def resolve_sequence(artifact: StoredArtifact, info: Info) -> StoredCollection:
    return collection_of(info.context, artifact)


@artifact_type.field("artifactType")
def resolve_type(artifact: StoredArtifact, info: Info) -> StoredType | None:
    collection = collection_of(info.context, artifact)
    return collection_table.find_type(info.context.connection, collection.project_id, collection.type)


@artifact_type.field("ttlDurationSeconds")
def resolve_ttl(artifact: StoredArtifact, _: Info) -> int:
    return artifact_table.TTL_DISABLED if artifact.ttl_seconds is None else artifact.ttl_seconds


@artifact_type.field("ttlIsInherited")
def resolve_ttl_inherited(artifact: StoredArtifact, _: Info) -> bool:
    return artifact.ttl_seconds is None


@artifact_type.field("tags")
def resolve_tags(artifact: StoredArtifact, _: Info) -> list[dict[str, str]]:
    return [{"id": f"tag:{tag}", "name": tag} for tag in artifact.tags]


@artifact_type.field("aliases")
def resolve_aliases(artifact: StoredArtifact, info: Info) -> list[StoredAlias]:
    return membership_table.aliases_of_artifact(info.context.connection, artifact.id)


@artifact_type.field("createdBy")
def resolve_created_by(artifact: StoredArtifact, info: Info) -> StoredRun | None:
    return None if artifact.run_id is None else run_table.find_by_id(info.context.connection, artifact.run_id)


@artifact_type.field("usedBy")
def resolve_used_by(artifact: StoredArtifact, info: Info) -> dict[str, Any]:
    found = artifact_table.users(info.context.connection, artifact.id)
    runs = [(run_table.find_by_id(info.context.connection, run_id), encode_id("Run", run_id)) for run_id in found]
    return connection(runs, len(runs))


@artifact_type.field("currentManifest")
def resolve_manifest(artifact: StoredArtifact, _: Info) -> dict[str, Any] | None:
    return manifest(artifact) if artifact.state == artifact_table.COMMITTED else None


@alias_type.field("id")
def resolve_alias_id(alias: StoredAlias, _: Info) -> str:
    return encode_id("ArtifactAlias", alias.id)


@alias_type.field("artifactCollection")
def resolve_alias_collection(alias: StoredAlias, info: Info) -> StoredCollection | None:
    return collection_table.find_by_id(info.context.connection, alias.collection_id)


@manifest_type.field("file")
def resolve_manifest_file(manifest: dict[str, Any], info: Info) -> dict[str, Any]:
    """Links for both directions; the client knows which one it needs."""
    context, digest = info.context, manifest["digest"]
    link = (context.backend, context.base_url, digest, manifest["file_name"], manifest["file_name"])
    return {
        "id": manifest["id"],
        "name": manifest["file_name"],
        "display_name": manifest["file_name"],
        "direct_url": links.blob_download_url(*link) if digest else None,
        "upload_url": links.blob_upload_url(*link) if digest else None,
        "upload_headers": [],
    }


@run_type.field("outputArtifacts")
def resolve_output(run: StoredRun, info: Info, *, after: str | None = None, first: int | None = None) -> dict[str, Any]:
    return _of_run(run, info, "output", after, first)


@run_type.field("inputArtifacts")
def resolve_input(run: StoredRun, info: Info, *, after: str | None = None, first: int | None = None) -> dict[str, Any]:
    return _of_run(run, info, "input", after, first)


def _of_run(run: StoredRun, info: Info, role: Role, after: str | None, first: int | None) -> dict[str, Any]:
    limit = DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("Artifact", after) if after else 0
    found = artifact_table.of_run(info.context.connection, run.id, role)
    return edges([artifact for artifact in found if artifact.id > start][: limit + 1], limit, len(found))


BINDABLES = (query, artifact_type, alias_type, manifest_type, run_type, creator_type)
