"""Parsing of artifact manifests: JSON that clients upload, with the digest of every file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from wandb_devserver._domain.limits import check_file_name
from wandb_devserver._errors import UsageError
from wandb_devserver._json import Json, loads_object
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage.artifact_files import ManifestEntry

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context
    from wandb_devserver._storage.artifacts import StoredArtifact

_MD5_SIZE = 16


def check_md5(text: str, name: str) -> str:
    """Return `text` if it is the base64 of an MD5.

    Raises:
        UsageError: otherwise.
    """
    try:
        if len(base64.b64decode(text, validate=True)) == _MD5_SIZE:
            return text
    except ValueError:
        pass
    msg = f"the MD5 of {name!r} is {text!r}: use the base64 of its 16 bytes"
    raise UsageError(msg)


def read_manifest(context: Context, artifact: StoredArtifact) -> list[ManifestEntry]:
    """Return what an artifact's manifest lists.

    Raises:
        UsageError: if the manifest, or something it lists, was not uploaded.
    """
    blob = entry_table.find_blob(context.connection, artifact.manifest_digest or "")
    if blob is None:
        msg = "the manifest was not uploaded: send it before the artifact is committed"
        raise UsageError(msg)
    contents = loads_object(context.backend.blobs.path(blob.name).read_bytes()).get("contents")
    if not isinstance(contents, dict):
        msg = "the manifest is not a JSON object with 'contents'"
        raise UsageError(msg)
    return [_entry(context, name, value) for name, value in contents.items()]


def _entry(context: Context, name: str, value: Json) -> ManifestEntry:
    entry = value if isinstance(value, dict) else {}
    digest, size, reference = entry.get("digest"), entry.get("size"), entry.get("ref")
    if not isinstance(digest, str):
        msg = f"{name!r} has no digest in the manifest"
        raise UsageError(msg)
    if isinstance(reference, str):
        return ManifestEntry(check_file_name(name), digest, size if isinstance(size, int) else 0, reference)
    blob = entry_table.find_blob(context.connection, digest)
    if blob is None:
        msg = f"{name!r} was not uploaded: nothing here has the MD5 {digest!r}"
        raise UsageError(msg)
    return ManifestEntry(check_file_name(name), digest, blob.size, None)
