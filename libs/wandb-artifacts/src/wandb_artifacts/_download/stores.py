"""The file systems of the stores that references of artifacts lead to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_S3 = frozenset({"s3", "s3a"})
_GCS = frozenset({"gs", "gcs"})
_HTTP = frozenset({"http", "https"})
SCHEMES = _S3 | _GCS | _HTTP | {"abfs", "abfss", "adl", "az", "file", "ftp", "hdfs", "oci", "oss", "r2", "sftp"}
"""Schemes that are read. Others could reach more than one file: an artifact is not trusted."""
_AZURE = ("adlfs", "AzureBlobFileSystem")
_DRIVERS = {
    **dict.fromkeys(_S3, ("s3fs", "S3FileSystem")),
    **dict.fromkeys(_GCS, ("gcsfs", "GCSFileSystem")),
    **dict.fromkeys(("abfs", "abfss", "az"), _AZURE),
}
"""The modules and file systems of stores, which are used if they are installed."""
_AZURE_URL = re.compile(r"https://(?P<account>[a-z0-9-]+)\.blob\.core\.windows\.net/(?P<path>[^/?#]+/[^?#]+)")
"""A reference to Azure, as the SDK states it. One with a query, such as a signature, is read as it is."""
_AZURE_SCOPE = "https://storage.azure.com/.default"
_AZURE_SECRETS = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN")
_AZURE_CLIENT = "AZURE_STORAGE_CLIENT_ID"


@dataclass(frozen=True)
class Opened:
    """A file system, and an object in it."""

    file_system: Any
    path: str
    options: dict[str, str]
    """Those of its methods `info` and `open`."""
    is_http: bool = False


def open_reference(url: str, version: str | None, *, with_credentials: bool) -> Opened:
    """Open the file system of a reference. Blocks.

    Args:
        url: The reference.
        version: The version of the object in its store.
        with_credentials: Whether to look for credentials that are found slowly; see `has_more_credentials`.
    """
    if azure := _in_azure(url):
        is_anonymous = not with_credentials and has_more_credentials(url)
        return _open_azure(azure["account"], azure["path"], version, is_anonymous=is_anonymous)
    protocol = url.partition("://")[0].lower()
    settings: dict[str, object] = {"version_aware": True} if version and protocol in _S3 | _GCS else {}
    if protocol in _S3 and (endpoint := os.environ.get("AWS_S3_ENDPOINT_URL")):
        # The SDK's name for it; botocore knows AWS_ENDPOINT_URL_S3.
        settings["endpoint_url"] = endpoint
    file_system, path = _open_url(url, protocol, settings)
    if version and protocol in _GCS:
        return Opened(file_system, f"{path}#{version}", {})
    options = {"version_id": version} if version and protocol in _S3 else {}
    return Opened(file_system, path, options, protocol in _HTTP)


def has_more_credentials(url: str) -> bool:
    """Return whether `open_reference` can look for more credentials: those of 'az login', of a machine and others.

    The search takes long, and logs many lines if it finds none: so a container is read without credentials first.
    """
    return _in_azure(url) is not None and not any(map(os.environ.get, (*_AZURE_SECRETS, _AZURE_CLIENT)))


def _in_azure(url: str) -> re.Match[str] | None:
    """Return the account, and the path in it, of an object in Azure; None if it is read as plain HTTPS."""
    found = _AZURE_URL.fullmatch(url)
    return found if found and find_spec(_AZURE[0]) and _is_for(found["account"]) else None


def _is_for(account: str) -> bool:
    """Return whether an account may receive the secrets in the environment: they belong to it, or none are set."""
    if not any(map(os.environ.get, _AZURE_SECRETS)):
        return True
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    stated = (re.search(rf"(?:\A|;){part}([^.;]*)", text) for part in ("AccountName=", "BlobEndpoint=https?://"))
    own = next((found[1] for found in stated if found), os.environ.get("AZURE_STORAGE_ACCOUNT_NAME"))
    return own == account


def _open_azure(account: str, path: str, version: str | None, *, is_anonymous: bool) -> Opened:
    settings: dict[str, object] = {"account_name": account, "version_aware": version is not None}
    if is_anonymous:
        settings["anon"] = True
    file_system = getattr(import_module(_AZURE[0]), _AZURE[1])(**settings)
    if credential := getattr(file_system, "sync_credential", None):
        # A request repeats a failed search for credentials for more than a minute.
        credential.get_token(_AZURE_SCOPE)
    return Opened(file_system, path, {"version_id": version} if version else {})


def _open_url(url: str, protocol: str, settings: dict[str, object]) -> tuple[Any, str]:
    from fsspec import get_filesystem_class
    from fsspec.core import url_to_fs

    if protocol not in _DRIVERS:
        file_system, path = url_to_fs(url, **settings)
        return file_system, path
    module, name = _DRIVERS[protocol]
    try:
        # Flyte registers another file system, which does not know versions of objects.
        kind = getattr(import_module(module), name)
    except ImportError:
        kind = get_filesystem_class(protocol)
    return kind(**settings), kind._strip_protocol(url)  # noqa: SLF001 - the interface of fsspec's file systems
