"""URLs of destinations, and the part of fsspec that a destination uses, with types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import unquote

from wandb_artifacts._asyncio import abandonable
from wandb_artifacts._destination.errors import refusal
from wandb_artifacts._errors import InvalidValueError

if TYPE_CHECKING:
    from typing import IO

_USER = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"[?#].*\Z", re.DOTALL)
_SECRET = re.compile(r"key|secret|token|pass|cred|account|conn|sas|auth", re.IGNORECASE)


class FileSystem(Protocol):
    """The methods of an fsspec file system that a destination uses."""

    @property
    def async_impl(self) -> bool: ...

    def info(self, path: str) -> Mapping[str, object]: ...

    def find(self, path: str) -> Iterable[str]: ...

    def cat_file(self, path: str) -> bytes: ...

    def pipe_file(self, path: str, value: bytes) -> object: ...

    def put_file(self, lpath: str, rpath: str) -> object: ...

    def open(self, path: str, mode: str) -> IO[bytes]: ...

    def makedirs(self, path: str, exist_ok: bool) -> None: ...

    def invalidate_cache(self, path: str | None = None) -> None: ...


class DestinationUrl:
    """A URL that may contain secrets, and the form of it that may be shown.

    Args:
        url: The URL as the user wrote it.
        storage_options: Options of its file system.
    """

    def __init__(self, url: str, storage_options: Mapping[str, object]) -> None:
        self._url = url
        self._options = dict(storage_options)
        shown = _QUERY.sub("", _USER.sub("", url)).rstrip("/")
        self.shown = f"{shown}//" if shown.endswith(":") else shown
        self.protocol = url.partition("://")[0].lower()
        self._secrets = sorted({secret for secret in self._find_secrets() if len(secret) > 1}, key=len, reverse=True)

    def open(self) -> tuple[FileSystem, str]:
        """Open its file system; returns it with the path in it.

        Raises:
            InvalidValueError: The file system is unknown, its driver is not installed, or an option is invalid.
            DestinationError: It is unreachable.
        """
        from fsspec.core import url_to_fs

        self._check()
        try:
            found = abandonable(lambda: url_to_fs(self._url, **self._options))
        except (TypeError, ValueError) as error:
            reason = f"{self.shown} cannot be opened with them: {self.redacted(error)}"
            raise InvalidValueError(field="storage_options", value=None, reason=reason) from None
        except Exception as error:  # noqa: BLE001, drivers' exceptions have no common base
            doing = f"open {self.shown}"
            raise refusal(doing, self.redacted(error), getattr(error, "errno", None)) from None
        # The only cast between fsspec and typed code.
        file_system, path = cast("tuple[FileSystem, str]", found)
        return file_system, path.rstrip("/")

    def redacted(self, error: BaseException) -> str:
        """Return the text of an error on one line, without secrets."""
        # obstore's errors end with a dump of their source.
        message = str(error).partition("Debug source:")[0]
        text = " ".join(message.split()) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:400]

    def is_leaked_by(self, error: BaseException) -> bool:
        """Return whether the text of an error contains a secret, so that it must not be chained."""
        return any(secret in repr(error) for secret in self._secrets)

    def _check(self) -> None:
        from fsspec.registry import get_filesystem_class

        if "::" in self._url:
            reason = "is a chain of file systems, which cannot be written to safely; pass the URL of the store itself"
            raise InvalidValueError(field="destination", value=self.shown, reason=reason)
        try:
            get_filesystem_class(self.protocol)
        except ImportError as error:
            reason = f"needs a package that is not installed: {error.args[0] if error.args else self.protocol}"
            raise InvalidValueError(field="destination", value=self.shown, reason=reason) from error
        except ValueError:
            reason = f"fsspec does not know {self.protocol}://; install the package of its driver, or pass a path"
            raise InvalidValueError(field="destination", value=self.shown, reason=reason) from None

    def _find_secrets(self) -> Iterable[str]:
        if user := _USER.search(self._url):
            for text in (user.group()[:-1], *user.group()[:-1].split(":", 1)):
                yield from (text, unquote(text))
        if query := _QUERY.search(self._url):
            yield query.group()
        yield from _secret_values(self._options)


def _secret_values(options: Mapping[str, object]) -> Iterable[str]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secret_values(value)
        elif isinstance(value, str) and _SECRET.search(name):
            yield value
