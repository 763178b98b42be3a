"""Contents of an artifact that W&B does not store: references to objects and files, read through fsspec."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import abandonable, to_thread
from wandb_artifacts._client.retry import TransientError, is_transient, is_transient_status
from wandb_artifacts._destination.store import FileDetails, is_worth_retrying
from wandb_artifacts._destination.url import DestinationUrl
from wandb_artifacts._download.chunks import store_chunks
from wandb_artifacts._download.stores import SCHEMES, Opened, has_more_credentials, open_reference
from wandb_artifacts._errors import AccessDeniedError, DownloadError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.artifacts import RemoteEntry
    from wandb_artifacts._destination.base import Sink
    from wandb_artifacts._download.transfer import Arrived

_PIECE = 1024 * 1024
_REFUSED = (401, 403, 404, 409)
"""Statuses of Azure's responses to requests without credentials for what is not public."""


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
        self._opened: Opened | None = None
        self._needs_credentials = False
        self.is_verified = False
        """Whether the contents were compared with a digest, tag or size of the artifact."""

    async def fetch(self, sink: Sink, path: str, on_bytes: Callable[[int], None]) -> Arrived:
        """Fetch the object.

        Raises:
            DownloadError: It is not readable, or has changed since the artifact was logged.
        """
        if self._url.protocol not in SCHEMES or "::" in (self._entry.reference or ""):
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
        url, version = self._entry.reference or "", self._entry.version_id
        try:
            self._opened = abandonable(lambda: open_reference(url, version, with_credentials=self._needs_credentials))
            opened = self._opened
            return FileDetails(abandonable(lambda: opened.file_system.info(opened.path, **opened.options)))
        except Exception as error:
            is_refused = isinstance(error, FileNotFoundError) or _status_of(error) in _REFUSED
            if self._needs_credentials or not is_refused or not has_more_credentials(url):
                raise
        self._needs_credentials = True
        return self._details()

    def _chunks(self) -> Generator[bytes, None, None]:
        opened = self._opened
        assert opened is not None
        # Over HTTP: one request from start to end, as not every server supports ranges.
        extra = {"block_size": 0} if opened.is_http else {}
        file = abandonable(lambda: opened.file_system.open(opened.path, "rb", **opened.options, **extra))
        try:
            while piece := abandonable(lambda: file.read(_PIECE)):
                yield piece
        finally:
            file.close()

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
        if type(error).__name__ == "ClientAuthenticationError" and status is None:
            reason = "it is missing or not public, and no credentials for Azure were found"
            return AccessDeniedError(f"{self._what}: {reason}; log in, or set AZURE_STORAGE_CONNECTION_STRING")
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


def _plain_tag(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')
