"""Absolute URLs at which clients upload and download contents."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

from wandb_devserver._domain.digests import MD5

if TYPE_CHECKING:
    from wandb_devserver._backend import Backend

UPLOAD_LIFETIME = 24 * 3600.0
"""Seconds for which an upload link is valid; the SDK retries an upload for less than an hour."""

DOWNLOAD_LIFETIME = 3600.0
"""Seconds for which a download link is valid; the SDK requests new ones for each download."""


def file_upload_url(backend: Backend, base_url: str, run_id: int, name: str) -> str:
    """Return the absolute link to which one file of a run may be PUT, without credentials."""
    return f"{base_url}signed/{backend.signer.sign(['run-file', run_id, name], lifetime=UPLOAD_LIFETIME)}"


def file_download_url(base_url: str, entity: str, project: str, run: str, name: str) -> str:
    """Return the absolute link from which a file of a run can be fetched, with the key."""
    path = "/".join(quote(part, safe="") for part in (entity, project, run))
    return f"{base_url}files/{path}/{quote(name)}"


def storage_path(collection_id: int, artifact_id: int, digest: str) -> str:
    """Return the path that an artifact file has in W&B's object store."""
    return f"wandb_artifacts/{collection_id}/{artifact_id}/{base64.b64decode(digest).hex()}"


def blob_upload_url(backend: Backend, base_url: str, digest: str, name: str, path: str, algorithm: str = MD5) -> str:
    """Return the absolute URL to which contents with this digest may be PUT, without credentials."""
    return _signed_url(backend, base_url, ["artifact-upload", digest, name, algorithm], path, UPLOAD_LIFETIME)


def part_upload_url(
    backend: Backend, base_url: str, upload_id: str, number: int, hex_md5: str, name: str, path: str
) -> str:
    """Return the absolute URL to which one part of a multipart upload may be PUT, without credentials."""
    md5 = base64.b64encode(bytes.fromhex(hex_md5)).decode()
    return _signed_url(backend, base_url, ["artifact-part", md5, name, MD5, upload_id, number], path, UPLOAD_LIFETIME)


def blob_download_url(backend: Backend, base_url: str, digest: str, name: str, path: str) -> str:
    """Return the absolute URL from which contents can be fetched without credentials."""
    return _signed_url(backend, base_url, ["artifact-download", digest, name], path, DOWNLOAD_LIFETIME)


def export_download_url(backend: Backend, base_url: str, path: str, export_id: int) -> str:
    """Return the absolute URL from which a part of a history can be fetched without credentials.

    As in an object store, the URL of a file changes in its query only.
    """
    token = backend.signer.sign(["history-export", export_id], lifetime=DOWNLOAD_LIFETIME)
    return f"{base_url}signed/history/{quote(path)}?signature={token}"


def _signed_url(backend: Backend, base_url: str, subject: list[str | int], path: str, lifetime: float) -> str:
    # As in an object store, the path is part of the URL: clients distinguish files and manifests by it.
    return f"{base_url}signed/artifacts/{backend.signer.sign([path, *subject], lifetime=lifetime)}/{quote(path)}"
