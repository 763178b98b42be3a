"""Contents of an artifact that W&B does not store: references to objects and files, read through fsspec."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wandb_artifacts._asyncio import abandonable, to_thread
from wandb_artifacts._client.retry import TransientError, is_transient, is_transient_status
from wandb_artifacts._destination.store import FileDetails, is_worth_retrying
from wandb_artifacts._destination.url import DestinationUrl
from wandb_artifacts._download.chunks import store_chunks
from wandb_artifacts._errors import AccessDeniedError, DownloadError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.artifacts import RemoteEntry
    from wandb_artifacts._destination.base import Sink
    from wandb_artifacts._download.transfer import Arrived

_PIECE = 1024 * 1024
_S3 = frozenset({"s3", "s3a"})
_GCS = frozenset({"gs", "gcs"})
_HTTP = frozenset({"http", "https"})
_SCHEMES = _S3 | _GCS | _HTTP | {"abfs", "abfss", "adl", "az", "file", "ftp", "hdfs", "oci", "oss", "r2", "sftp"}
"""Schemes that are read. Others could reach more than one file: an artifact is not trusted."""
_DRIVERS = {
    **dict.fromkeys(_S3, ("s3fs", "S3FileSystem")),
    **dict.fromkeys(_GCS, ("gcsfs", "GCSFileSystem")),
    **dict.fromkeys(("abfs", "abfss", "az"), ("adlfs", "AzureBlobFileSystem")),
}
"""The modules and file systems of stores, which are used if they are installed."""


@dataclass(frozen=True)
class _Expected:
    """The facts that an artifact states about a referenced object."""

    etag: str | None
    """The tag of the object in its store; None if the artifact was logged without checksums."""
    md5: bytes | None
    """The MD5 digest of the contents, for files of a machine."""
    size: int | None

    @classmethod
    def of(cls, entry: RemoteEntry, scheme: str) -> _Expected:
        digest = entry.stated_digest
        # The SDK states 0 for an unknown size, and skips empty objects.
        size = entry.size or None
        if scheme == "file":
            return cls(None, entry.digest, size)
        # Without checksums, the SDK states the URL in place of a digest.
        return cls(None if "://" in digest else _plain_tag(digest), None, size)


class Reference:
    """One referenced object, whose contents are fetched.

    Args:
        api: The session, for its retries.
        entry: The file of the artifact.
        what: The file, for errors.
    """

    def __init__(self, api: Api, entry: RemoteEntry, what: str) -> None:
        self._api = api
        self._entry = entry
        self._url = DestinationUrl(entry.reference or "", {})
        self._what = f"{what}, a reference to {self._url.shown}"
        self._expected = _Expected.of(entry, self._url.protocol)
        self.is_verified = False
        """Whether the contents were compared with a digest, tag or size of the artifact."""

    async def fetch(self, sink: Sink, path: str, on_bytes: Callable[[int], None]) -> Arrived:
        """Fetch the object.

        Raises:
            DownloadError: It is not readable, or has changed since the artifact was logged.
        """
        if self._url.protocol not in _SCHEMES or "::" in (self._entry.reference or ""):
            msg = f"{self._what}: {self._url.protocol}:// cannot be read; exclude the file, or pass references='skip'"
            raise DownloadError(msg)

        async def attempt() -> Arrived:
            try:
                return await self._attempt(sink, path, on_bytes)
            except (DownloadError, TransientError):
                raise
            except Exception as error:  # noqa: BLE001, drivers' exceptions have no common base
                raise self._explained(error) from None

        return await self._api.retry(attempt, what=self._what)

    async def _attempt(self, sink: Sink, path: str, on_bytes: Callable[[int], None]) -> Arrived:
        details = await to_thread(self._details)
        self._check_tag(details)
        with closing(self._chunks()) as chunks:
            return await store_chunks(
                chunks, sink, path, check=lambda size, md5: self._check(size, md5, details.size), on_bytes=on_bytes
            )

    def _details(self) -> FileDetails:
        file_system, path, options = self._open()
        return FileDetails(abandonable(lambda: file_system.info(path, **options)))

    def _chunks(self) -> Generator[bytes, None, None]:
        file_system, path, options = self._open()
        # Over HTTP: one request from start to end, as not every server supports ranges.
        extra = {"block_size": 0} if self._url.protocol in _HTTP else {}
        file = abandonable(lambda: file_system.open(path, "rb", **options, **extra))
        try:
            while piece := abandonable(lambda: file.read(_PIECE)):
                yield piece
        finally:
            file.close()

    def _open(self) -> tuple[Any, str, dict[str, str]]:
        """Return the file system, and the path and the options of the object in it."""
        protocol, version = self._url.protocol, self._entry.version_id
        settings: dict[str, object] = {"version_aware": True} if version and protocol in _S3 | _GCS else {}
        if protocol in _S3 and (endpoint := os.environ.get("AWS_S3_ENDPOINT_URL")):
            # The SDK's name for it; botocore knows AWS_ENDPOINT_URL_S3.
            settings["endpoint_url"] = endpoint
        file_system, path = abandonable(lambda: _open_url(self._entry.reference or "", protocol, settings))
        if version and protocol in _GCS:
            return file_system, f"{path}#{version}", {}
        return file_system, path, {"version_id": version} if version and protocol in _S3 else {}

    def _check_tag(self, details: FileDetails) -> None:
        expected, found = self._expected.etag, _plain_tag(details.tag)
        if expected is None or not found:
            return
        if expected != found:
            msg = f"{self._what}: it has changed since the artifact was logged (ETag {found[:80]!r})"
            raise DownloadError(msg)
        self.is_verified = True

    def _check(self, size: int, md5: bytes, stated: int) -> None:
        expected = self._expected
        if stated >= 0 and size != stated:
            msg = f"{size} bytes were received of {stated}"
            raise TransientError(msg)
        if expected.size is not None and expected.size != size:
            msg = f"{self._what}: it has {size} bytes; it had {expected.size} when the artifact was logged"
            raise DownloadError(msg)
        if self._url.protocol == "file" and md5 != expected.md5:
            # Never stored without a digest: an artifact of somebody else could name any file of this machine.
            msg = f"{self._what}: its MD5 digest differs from that of the artifact"
            raise DownloadError(msg)
        self.is_verified |= expected.size is not None or expected.md5 is not None

    def _explained(self, error: Exception) -> Exception:
        text = self._url.redacted(error)
        status = _status_of(error)
        if is_transient(error):
            # Looked for first: fsspec turns every failure of a request over HTTP into a FileNotFoundError.
            return TransientError(text)
        if isinstance(error, ImportError):
            return DownloadError(f"{self._what}: needs a package that is not installed ({text})")
        if isinstance(error, FileNotFoundError) or status == 404:
            return NotFoundError(f"{self._what}: not found ({text})")
        if isinstance(error, PermissionError) or status in (401, 403) or type(error).__name__ == "NoCredentialsError":
            return AccessDeniedError(f"{self._what}: access denied; check the credentials of its store ({text})")
        is_final = not is_transient_status(status) if status is not None else not is_worth_retrying(error)
        return DownloadError(f"{self._what}: {text}") if is_final else TransientError(text)


def _status_of(error: Exception) -> int | None:
    """Return the status of a response that an error is about: aiohttp's, gcsfs's or Azure's."""
    if type(error) is OSError and str(error).startswith("Forbidden: "):
        # That of gcsfs, which has no attribute.
        return 403
    found = (getattr(error, name, None) for name in ("status", "code", "status_code"))
    return next((each for each in found if isinstance(each, int)), None)


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


def _plain_tag(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')
