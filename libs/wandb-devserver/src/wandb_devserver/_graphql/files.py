"""Resolvers for the files of runs."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from ariadne import MutationType, ObjectType

from wandb_devserver._domain.limits import check_file_name
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.projects import connection
from wandb_devserver._http import links
from wandb_devserver._json import loads_object
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import files as file_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage.artifact_files import StoredEntry
from wandb_devserver._storage.files import StoredFile

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.runs import StoredRun

mutation = MutationType()
run_type = ObjectType("Run")
file_type = ObjectType("File")
file_type.set_alias("sizeBytes", "size")

_DEFAULT_PAGE = 50


@mutation.field("createRunFiles")
def create_run_files(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    run = context.run(input["entity_name"], input["project_name"], input["run_name"])
    targets = [
        {
            "name": name,
            "upload_url": links.file_upload_url(context.backend, context.base_url, run.id, check_file_name(name)),
        }
        for name in input["files"]
    ]
    return {"run_id": encode_id("Run", run.id), "upload_headers": [], "files": targets}


@mutation.field("markRunFilesUploaded")
def mark_run_files_uploaded(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    # Files count from the moment their upload is complete; there is nothing left to mark.
    info.context.run(input["entity_name"], input["project_name"], input["run_name"])
    return {"success": True}


@mutation.field("deleteFiles")
def delete_files(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context = info.context
    for node_id in input["files"]:
        file = file_table.find_by_id(context.connection, decode_id("File", node_id))
        if file is not None:
            file_table.delete(context.connection, file)
            context.unused_blobs.append(file.blob)
    return {"success": True}


@run_type.field("fileCount")
def resolve_file_count(run: StoredRun, info: Info) -> int:
    return file_table.count(info.context.connection, run.id)


@run_type.field("runInfo")
def resolve_info(run: StoredRun, info: Info) -> dict[str, Any] | None:
    file = file_table.find(info.context.connection, run.id, "wandb-metadata.json")
    if file is None:
        return None
    metadata = loads_object(info.context.backend.blobs.path(file.blob).read_bytes())
    return {**metadata, "code_saved": "codePath" in metadata}


@run_type.field("files")
def resolve_files(
    run: StoredRun,
    info: Info,
    *,
    names: list[str] | None = None,
    after: str | None = None,
    first: int | None = None,
    pattern: str | None = None,
) -> dict[str, Any]:
    limit = _DEFAULT_PAGE if first is None else max(first, 0)
    start = decode_id("File", after) if after else 0
    found = file_table.page(info.context.connection, run.id, names=names, pattern=pattern, after=start, limit=limit + 1)
    if names and not after:
        # As in W&B, a requested file that does not exist has the MD5 "0".
        present = {file.name for file in found}
        found += [file_table.missing(run.id, name) for name in names if name not in present]
    page = connection([(file, encode_id("File", file.id)) for file in found], limit)
    return {**page, "upload_headers": []}


@file_type.field("id")
def resolve_id(file: StoredFile | StoredEntry, _: Info) -> str:
    return encode_id("ArtifactEntry" if isinstance(file, StoredEntry) else "File", file.id)


@file_type.field("url")
def resolve_url(file: StoredFile | StoredEntry, info: Info, *, upload: bool | None = None) -> str | None:
    context = info.context
    if upload and isinstance(file, StoredFile):
        return links.file_upload_url(context.backend, context.base_url, file.run_id, file.name)
    return _download_url(file, info)


@file_type.field("directUrl")
def resolve_direct_url(file: StoredFile | StoredEntry, info: Info) -> str | None:
    return _download_url(file, info)


def _download_url(file: StoredFile | StoredEntry, info: Info) -> str | None:
    context = info.context
    if isinstance(file, StoredEntry):
        path = resolve_storage_path(file, info) or ""
        return file.reference or links.blob_download_url(
            context.backend, context.base_url, file.digest, file.name, path
        )
    run = run_table.find_by_id(context.connection, file.run_id)
    return links.file_download_url(context.base_url, run.entity, run.project, run.name, file.name) if run else None


@file_type.field("storagePath")
def resolve_storage_path(file: StoredFile | StoredEntry, info: Info) -> str | None:
    if isinstance(file, StoredFile) or file.reference:
        return None
    artifact = artifact_table.find_by_id(info.context.connection, file.artifact_id)
    return links.storage_path(artifact.collection_id, artifact.id, file.digest) if artifact else None


@file_type.field("md5")
def resolve_md5(file: StoredFile | StoredEntry, info: Info) -> str:
    if info.context.wrong_md5:
        return base64.b64encode(hashlib.md5(file.md5.encode(), usedforsecurity=False).digest()).decode()
    return file.md5


BINDABLES = (mutation, run_type, file_type)
