"""Artifact manifests: JSON that clients upload, parsed, and merged where an artifact has several."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_devserver._domain.digests import new_hasher
from wandb_devserver._domain.limits import check_file_name
from wandb_devserver._errors import UsageError
from wandb_devserver._json import Json, JsonObject, dumps, loads_object
from wandb_devserver._storage import artifact_files as entry_table
from wandb_devserver._storage import artifacts as artifact_table
from wandb_devserver._storage import manifests as manifest_table
from wandb_devserver._storage.artifact_files import ManifestEntry

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Context
    from wandb_devserver._storage.artifacts import StoredArtifact
    from wandb_devserver._storage.manifests import StoredManifest

_DIGEST_SIZE = 16


@dataclass(frozen=True, slots=True)
class CompleteManifest:
    """The manifest of an artifact that is ready to be committed."""

    entries: list[ManifestEntry]
    md5: str
    """Base64 of the MD5 of the manifest file."""

    artifact_digest: str
    """The digest of the artifact, as the SDK computes it from the manifest."""


def check_digest(text: str, name: str) -> str:
    """Return `text` if it is the base64 of a digest.

    Raises:
        UsageError: otherwise.
    """
    try:
        if len(base64.b64decode(text, validate=True)) == _DIGEST_SIZE:
            return text
    except ValueError:
        pass
    msg = f"the digest of {name!r} is {text!r}: use the base64 of its 16 bytes"
    raise UsageError(msg)


def to_hex(digest: str) -> str:
    """Convert the base64 of a digest to hexadecimal digits."""
    return base64.b64decode(digest).hex()


def complete_manifest(context: Context, artifact: StoredArtifact) -> CompleteManifest:
    """Return the manifest of an artifact, merged from several where it was written in increments or patches.

    Raises:
        UsageError: if a manifest, or a file that it lists, was not uploaded.
    """
    written = [found for found in manifest_table.of_artifact(context.connection, artifact.id) if found.digest]
    if not written:
        msg = "the manifest was not uploaded: upload it before the artifact is committed"
        raise UsageError(msg)
    full = [found for found in written if found.type == manifest_table.FULL]
    if full:
        document = _read(context, full[-1].digest)
        return CompleteManifest(_entries(context, document), full[-1].digest or "", artifact.digest)
    document = _merged(context, written)
    digest = _digest(document, artifact.digest_algorithm)
    return CompleteManifest(_entries(context, document), _store(context, artifact, document), digest)


def _merged(context: Context, written: list[StoredManifest]) -> JsonObject:
    """Merge the files of base artifacts, and then of each manifest in the order of their creation."""
    contents: JsonObject = {}
    document: JsonObject = {}
    for manifest in written:
        if manifest.type == manifest_table.INCREMENTAL and manifest.base_artifact_id is not None:
            base = artifact_table.find_by_id(context.connection, manifest.base_artifact_id)
            if base and base.manifest_digest:
                contents.update(_contents(_read(context, base.manifest_digest)))
        document = _read(context, manifest.digest)
        contents.update(_contents(document))
    return {**document, "contents": contents}


def _read(context: Context, md5: str | None) -> JsonObject:
    blob = entry_table.find_blob(context.connection, md5 or "")
    if blob is None:
        msg = "the manifest was not uploaded: upload it before the artifact is committed"
        raise UsageError(msg)
    return loads_object(context.backend.blobs.path(blob.name).read_bytes())


def _contents(document: JsonObject) -> JsonObject:
    contents = document.get("contents")
    if not isinstance(contents, dict):
        msg = "the manifest is not a JSON object with 'contents'"
        raise UsageError(msg)
    return contents


def _entries(context: Context, document: JsonObject) -> list[ManifestEntry]:
    return [_entry(context, name, value) for name, value in _contents(document).items()]


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
        msg = f"{name!r} was not uploaded: the server has no contents with the digest {digest!r}"
        raise UsageError(msg)
    return ManifestEntry(check_file_name(name), digest, blob.size, None)


def _store(context: Context, artifact: StoredArtifact, document: JsonObject) -> str:
    """Store a merged manifest and return its MD5."""
    with context.backend.blobs.writer() as writer:
        writer.write(dumps(document).encode())
        blob = writer.commit()
    context.new_blobs.append(blob.name)
    entry_table.claim(context.connection, artifact.id, blob.digest)
    if not entry_table.keep_blob(context.connection, blob):
        context.unused_blobs.append(blob.name)
    return blob.digest


def _digest(document: JsonObject, algorithm: str) -> str:
    """Compute the digest of an artifact as the SDK does."""
    hasher = new_hasher(algorithm)
    hasher.update(b"wandb-artifact-manifest-v1\n")
    for name, entry in sorted(_contents(document).items()):
        digest = entry.get("digest") if isinstance(entry, dict) else ""
        hasher.update(f"{name}:{digest}\n".encode())
    return hasher.hexdigest()
