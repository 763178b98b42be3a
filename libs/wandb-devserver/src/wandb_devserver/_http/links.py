"""Absolute URLs at which clients upload and download contents."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

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


def blob_upload_url(backend: Backend, base_url: str, md5: str, name: str) -> str:
    """Return the absolute link to which contents with this MD5 may be PUT, without credentials."""
    return _signed_url(backend, base_url, ["artifact-upload", md5, name], UPLOAD_LIFETIME)


def blob_download_url(backend: Backend, base_url: str, md5: str, name: str) -> str:
    """Return the absolute link from which contents can be fetched without credentials."""
    return _signed_url(backend, base_url, ["artifact-download", md5, name], DOWNLOAD_LIFETIME)


def _signed_url(backend: Backend, base_url: str, subject: list[str | int], lifetime: float) -> str:
    return f"{base_url}signed/artifacts/{backend.signer.sign(subject, lifetime=lifetime)}"
