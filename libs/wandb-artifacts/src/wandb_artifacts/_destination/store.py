"""fsspec file systems with retries and readable errors, and the different forms of their file details."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import tenacity

from wandb_artifacts._asyncio import abandonable
from wandb_artifacts._destination.base import Stat
from wandb_artifacts._destination.errors import refusal
from wandb_artifacts._errors import DestinationError

if TYPE_CHECKING:
    from wandb_artifacts._destination.url import DestinationUrl, FileSystem

R = TypeVar("R")

_ATTEMPTS = 3
_LONG = 30.0
"""Seconds after which a failure is not retried."""
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "obs", "r2"})
"""They have no folders; making one may create a bucket."""
_FINAL = (
    FileNotFoundError,
    PermissionError,
    NotADirectoryError,
    IsADirectoryError,
    FileExistsError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_FINAL_NAMES = frozenset(
    {"PermissionDeniedError", "UnauthenticatedError", "NotSupportedError", "InvalidPathError", "NoCredentialsError"}
)
"""Errors of obstore and botocore, which have no builtin base class."""

_TAGS = ("ETag", "e_tag", "etag")
_DIGESTS = ("md5Hash", "md5", "content_md5")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_LENGTH = 16


class FileDetails:
    """Details of a file from fsspec's `info`.

    Args:
        details: A dictionary whose keys depend on the file system, except for name, size and type.
    """

    def __init__(self, details: Mapping[str, object]) -> None:
        self._details = details

    @property
    def is_file(self) -> bool:
        return self._details.get("type") == "file"

    @property
    def size(self) -> int:
        """Bytes; -1 if the file system does not report it."""
        size = self._details.get("size")
        return size if isinstance(size, int) else -1

    @property
    def tag(self) -> str:
        """The ETag, as the file system reports it; empty if it does not."""
        return self._first(_TAGS)

    @property
    def stat(self) -> Stat:
        version = self.tag or self._first(_DIGESTS) or self._first(_TIMES)
        return Stat(self.size, f"{self.size}-{version}")

    @property
    def md5(self) -> bytes | None:
        """The digest of the contents, if the file system reports one. A tag may only look like a digest."""
        tag = self.tag.strip('"').lower()
        if _MD5.match(tag):
            return bytes.fromhex(tag)
        digest = self._first(_DIGESTS)
        if _MD5.match(digest.lower()):
            return bytes.fromhex(digest)
        try:
            found = base64.b64decode(digest, validate=True)
        except (binascii.Error, ValueError):
            return None
        return found if len(found) == _LENGTH else None

    def _first(self, keys: tuple[str, ...]) -> str:
        return next((str(self._details[key]) for key in keys if self._details.get(key)), "")


class Store:
    """A file system whose operations are retried, with readable errors."""

    def __init__(self, file_system: FileSystem, url: DestinationUrl) -> None:
        self._fs = file_system
        self._url = url
        # Others have one connection that handles one request at a time.
        self._turn: AbstractContextManager[object] = nullcontext() if file_system.async_impl else threading.Lock()
        self.shown = url.shown
        self.has_folders = url.protocol not in _OBJECT_STORES
        self.tags_are_digests = True

    def make_folder(self, path: str, shown: str) -> None:
        self.do(f"make the folder {shown}", lambda fs: fs.makedirs(path, exist_ok=True))

    def do(self, doing: str, work: Callable[[FileSystem], R]) -> R:
        """Run an operation, with up to three attempts.

        Raises:
            FileNotFoundError: The file is missing.
            DestinationError: The operation failed.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_worth_retrying),
            stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_after_delay(_LONG),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        with self._explained(doing):
            found: R = retrying(self._in_turn, work)
            return found

    def once(self, doing: str, work: Callable[[FileSystem], R]) -> R:
        """Run an operation once, because it cannot be repeated alone."""
        with self._explained(doing):
            return self._in_turn(work)

    def _in_turn(self, work: Callable[[FileSystem], R]) -> R:
        def body() -> R:
            with self._turn:
                return work(self._fs)

        return abandonable(body)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, DestinationError):
            raise
        except Exception as error:  # noqa: BLE001, drivers' exceptions have no common base
            cause = None if self._url.is_leaked_by(error) else error
            raise refusal(doing, self._reason(error), getattr(error, "errno", None)) from cause

    def _reason(self, error: Exception) -> str:
        text = self._url.redacted(error)
        if isinstance(error, PermissionError) or type(error).__name__ in _FINAL_NAMES:
            return f"access denied; check the credentials and storage_options ({text})"
        return text


def is_worth_retrying(error: BaseException) -> bool:
    """Return whether an operation of an fsspec file system that raised this error may succeed a moment later."""
    return isinstance(error, Exception) and not isinstance(error, _FINAL) and type(error).__name__ not in _FINAL_NAMES
