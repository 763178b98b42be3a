"""What file systems tell of a file, each in its own words."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import tenacity

from wandb_artifacts._destination.base import Stat
from wandb_artifacts._destination.errors import refusal
from wandb_artifacts._errors import DestinationError

if TYPE_CHECKING:
    from wandb_artifacts._destination.url import Address, FileSystem

R = TypeVar("R")

_ATTEMPTS = 3
_LONG = 30.0
"""Seconds; who tried for so long has tried often enough."""
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "obs", "r2"})
"""They have no folders to make, and making one may make a bucket."""
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
"""Of obstore and botocore, whose errors have no builtin base."""

_TAGS = ("ETag", "e_tag", "etag")
_DIGESTS = ("md5Hash", "md5", "content_md5")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_LENGTH = 16


class Information:
    """The answer of fsspec's `info`.

    Args:
        answer: A dictionary whose keys depend on the file system, but for name, size and type.
    """

    def __init__(self, answer: Mapping[str, object]) -> None:
        self._answer = answer

    @property
    def is_file(self) -> bool:
        return self._answer.get("type") == "file"

    @property
    def size(self) -> int:
        """Bytes; -1 where the file system does not tell."""
        size = self._answer.get("size")
        return size if isinstance(size, int) else -1

    @property
    def stat(self) -> Stat:
        told = self._first(_TAGS) or self._first(_DIGESTS) or self._first(_TIMES)
        return Stat(self.size, f"{self.size}-{told}")

    @property
    def md5(self) -> bytes | None:
        """The digest of the contents, where the file system tells one. A tag may only look like it."""
        tag = self._first(_TAGS).strip('"').lower()
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
        return next((str(self._answer[key]) for key in keys if self._answer.get(key)), "")


class Store:
    """A file system, tried again where that may help, with errors for people."""

    def __init__(self, file_system: FileSystem, address: Address) -> None:
        self._fs = file_system
        self._address = address
        # Others keep one connection, which takes one request at a time.
        self._turn: AbstractContextManager[object] = nullcontext() if file_system.async_impl else threading.Lock()
        self.shown = address.shown
        self.has_folders = address.protocol not in _OBJECT_STORES
        self.tags_are_digests = True

    def make_folder(self, path: str, shown: str) -> None:
        self.do(f"make the folder {shown}", lambda fs: fs.makedirs(path, exist_ok=True))

    def do(self, doing: str, work: Callable[[FileSystem], R]) -> R:
        """Up to three attempts at something.

        Raises:
            FileNotFoundError: What is asked for is not there.
            DestinationError: It cannot be done.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_after_delay(_LONG),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        with self._explained(doing):
            found: R = retrying(self._in_turn, work)
            return found

    def once(self, doing: str, work: Callable[[FileSystem], R]) -> R:
        """One attempt, at what cannot be repeated by itself."""
        with self._explained(doing):
            return self._in_turn(work)

    def _in_turn(self, work: Callable[[FileSystem], R]) -> R:
        with self._turn:
            return work(self._fs)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, DestinationError):
            raise
        except Exception as error:  # noqa: BLE001, what drivers raise has no base in common
            cause = None if self._address.is_told_by(error) else error
            raise refusal(doing, self._reason(error), getattr(error, "errno", None)) from cause

    def _reason(self, error: Exception) -> str:
        said = self._address.scrubbed(error)
        if isinstance(error, PermissionError) or type(error).__name__ in _FINAL_NAMES:
            return f"access is denied; check the credentials and storage_options ({said})"
        return said


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, _FINAL) and type(error).__name__ not in _FINAL_NAMES
