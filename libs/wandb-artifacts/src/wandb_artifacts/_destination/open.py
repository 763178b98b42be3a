"""`open_target`: the target for a path or URL."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from wandb_artifacts._destination.local import LocalTarget
from wandb_artifacts._errors import InvalidValueError

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Target

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?:::|://)")
"""At least two letters before the colon, because one letter is a drive of Windows."""
_SCHEMES = frozenset(
    {"abfs", "abfss", "adl", "az", "file", "ftp", "gcs", "gs", "hdfs", "http", "https", "memory", "oci", "oss", "r2"}
    | {"s3", "s3a", "sftp", "smb", "ssh", "webdav", "webhdfs"}
)
"""A path that starts with one of them and a colon is a URL with a typing error."""


def open_target(destination: str | os.PathLike[str], storage_options: Mapping[str, object]) -> Target:
    """Return the target for a destination: a folder of this machine, or any URL that fsspec supports.

    Raises:
        InvalidValueError: It is neither, or the package of its fsspec driver is not installed.
    """
    try:
        text = os.fspath(destination)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text.strip():
        raise InvalidValueError(
            field="destination", value=destination, reason="must be a path, or a URL such as 's3://bucket/folder'"
        )
    if "\0" in text:
        raise InvalidValueError(field="destination", value=destination, reason="must not contain a null character")
    if not _URL.match(text):
        _check_is_path(text)
        return LocalTarget(_absolute(text))
    if text.lower().startswith(("file://", "local://")):
        return LocalTarget(_from_url(text))
    # Imports fsspec, which a local folder does not need.
    from wandb_artifacts._destination.remote import RemoteTarget

    return RemoteTarget.open(text, storage_options)


def _check_is_path(text: str) -> None:
    """Refuse a URL without its slashes, such as `s3:bucket/folder`: a folder of that name would be a mistake."""
    scheme, colon, rest = text.partition(":")
    if colon and len(scheme) > 1 and "/" not in scheme and scheme.lower() in _SCHEMES:
        reason = f"looks like a URL without slashes; write {scheme}://{rest.lstrip('/')}, or ./{text} for a folder"
        raise InvalidValueError(field="destination", value=text, reason=reason)


def _absolute(text: str) -> Path:
    try:
        # Not resolved: a link that the user passed remains a link.
        return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100
    except RuntimeError:
        reason = "'~' cannot be expanded to a home directory here; write the full path"
        raise InvalidValueError(field="destination", value=text, reason=reason) from None


def _from_url(text: str) -> Path:
    url = urlsplit(text)
    if url.netloc not in ("", "localhost"):
        reason = "has a host; write three slashes before an absolute path, file:///folder"
        raise InvalidValueError(field="destination", value=text, reason=reason)
    return _absolute(url2pathname(url.path))
