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
"""At least two letters before the colon: one is a drive of Windows."""


def open_target(destination: str | os.PathLike[str], storage_options: Mapping[str, object]) -> Target:
    """The place that a destination names: a folder of this machine, or any URL that fsspec knows.

    Raises:
        InvalidValueError: It names none, or what fsspec needs for it is not installed.
    """
    try:
        text = os.fspath(destination)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text.strip():
        raise InvalidValueError(
            field="destination", value=destination, reason="must be a folder, or a URL such as 's3://bucket/folder'"
        )
    if "\0" in text:
        raise InvalidValueError(field="destination", value=destination, reason="must not hold a null character")
    if not _URL.match(text):
        return LocalTarget(_absolute(text))
    if text.lower().startswith(("file://", "local://")):
        return LocalTarget(_from_url(text))
    # Loads fsspec, which a folder does not need.
    from wandb_artifacts._destination.remote import RemoteTarget

    return RemoteTarget.open(text, storage_options)


def _absolute(text: str) -> Path:
    try:
        # Not resolved: a link that the user named stays what it is.
        return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100
    except RuntimeError:
        reason = "'~' stands for no home directory here; write the path in full"
        raise InvalidValueError(field="destination", value=text, reason=reason) from None


def _from_url(text: str) -> Path:
    url = urlsplit(text)
    if url.netloc not in ("", "localhost"):
        reason = "names another machine; write three slashes before an absolute path: file:///folder"
        raise InvalidValueError(field="destination", value=text, reason=reason)
    return _absolute(url2pathname(url.path))
