"""Multipart uploads of large artifact files."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from ariadne import MutationType

from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._graphql.artifacts import artifact_by_id
from wandb_devserver._graphql.context import decode_id, encode_id
from wandb_devserver._graphql.manifests import to_hex
from wandb_devserver._http import links
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import uploads as upload_table
from wandb_devserver._storage.blobs import Blob

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context, Info
    from wandb_devserver._json import JsonObject
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.uploads import StoredPart, StoredUpload

mutation = MutationType()

_READ_SIZE = 1024 * 1024


def begin(
    context: Context, artifact: StoredArtifact, file: dict[str, Any], parts: list[dict[str, Any]]
) -> dict[str, Any]:
    """Start a multipart upload of a file (its `digest`, `name` and `storage_path`) and return the URL of each part."""
    upload = upload_table.create(context.connection, secrets.token_hex(16), artifact.id, file["digest"])

    def url(part: dict[str, Any]) -> str:
        target = (upload.id, part["part_number"], part["hex_m_d_5"], file["name"], file["storage_path"])
        return links.part_upload_url(context.backend, context.base_url, *target)

    return {
        "upload_id": upload.id,
        "upload_url_parts": [{"part_number": part["part_number"], "upload_url": url(part)} for part in parts],
    }


@mutation.field("completeMultipartUploadArtifact")
def complete(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    upload = upload_table.find(context.connection, input["upload_id"])
    if upload is None:
        return {"digest": _completed_before(context, input)}
    parts = upload_table.parts(context.connection, upload.id)
    if input["complete_multipart_action"] == "Complete":
        _check(upload, parts, input["completed_parts"])
        artifact = artifact_by_id(context, encode_id("Artifact", upload.artifact_id))
        _register(context, upload, context.slowly(lambda _: _joined(context, upload, parts, artifact.digest_algorithm)))
    upload_table.delete(context.connection, upload)
    context.unused_blobs += [part.blob for part in parts]
    return {"digest": upload.md5}


def _completed_before(context: Context, given: dict[str, Any]) -> str:
    """Return the digest of an upload whose completion is requested again, because the response was lost."""
    digest = given["storage_path"].rpartition("/")[2]
    for md5 in entry_table.contents_of(context.connection, decode_id("Artifact", given["artifact_id"])):
        if to_hex(md5) == digest and entry_table.find_blob(context.connection, md5):
            return md5
    msg = f"multipart upload {given['upload_id']!r} does not exist: it was completed, aborted, or its artifact deleted"
    raise NotFoundError(msg)


def _check(upload: StoredUpload, parts: list[StoredPart], announced: list[dict[str, Any]]) -> None:
    arrived = {part.number: to_hex(part.md5) for part in parts}
    for part in announced:
        number, digest = part["part_number"], part["hex_m_d_5"].strip('"')
        if arrived.get(number) != digest:
            state = f"has the MD5 {arrived[number]!r}" if number in arrived else "was not uploaded"
            msg = f"part {number} of upload {upload.id!r} {state}, not {digest!r}: upload it again"
            raise UsageError(msg)


def _joined(context: Context, upload: StoredUpload, parts: list[StoredPart], algorithm: str) -> JsonObject:
    with context.backend.blobs.writer(algorithm) as writer:
        for part in parts:
            with context.backend.blobs.path(part.blob).open("rb") as stream:
                while chunk := stream.read(_READ_SIZE):
                    writer.write(chunk)
        blob = writer.commit()
    if blob.digest != upload.md5:
        context.backend.blobs.remove(blob.name)
        msg = f"the parts of upload {upload.id!r} together have the digest {blob.digest!r}, not {upload.md5!r}"
        raise UsageError(msg)
    return {"name": blob.name, "size": blob.size}


def _register(context: Context, upload: StoredUpload, joined: JsonObject) -> None:
    blob = Blob(str(joined["name"]), int(str(joined["size"])), upload.md5)
    context.new_blobs.append(blob.name)
    if not entry_table.keep_blob(context.connection, blob):
        context.unused_blobs.append(blob.name)


BINDABLES = (mutation,)
