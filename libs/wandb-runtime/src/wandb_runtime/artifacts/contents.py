"""The data of an artifact: files of this machine, objects of a store, or a URL that W&B refers to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from flyte import storage
from flyte.io import Dir, File
from wandb_artifacts import InvalidValueError
from wandb_artifacts.client import Redactor

from wandb_runtime.tasks.threads import to_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCED = ("s3", "gs", "https", "http")
"""Schemes of which the SDK can read a checksum. The default port of Azure's blobs is HTTPS."""

EMPTY = "has no files; check the path"


@dataclass(frozen=True)
class LocalContents:
    """A file or folder of this machine."""

    path: Path


@dataclass(frozen=True)
class ReferenceContents:
    """Data that stays where it is; W&B stores its URL and checksums."""

    url: str


@dataclass(frozen=True)
class RemoteFile:
    """An object of a store."""

    name: str
    """Its path in the artifact."""
    file: File
    size: int | None


@dataclass(frozen=True)
class RemoteContents:
    """A `Dir` or `File` of a store, whose data is copied to W&B."""

    data: Dir | File

    async def files(self) -> list[RemoteFile]:
        """List the files.

        Raises:
            InvalidValueError: No file exists, or the store cannot be read.
        """
        try:
            found = await self._found()
        except Exception as error:  # noqa: BLE001 - drivers' exceptions have no common base
            reason = f"cannot be read ({type(error).__name__}: {redacted(self.data.path, error)})"
            raise invalid_data(shown(self.data.path), reason) from None
        if not found:
            raise invalid_data(shown(self.data.path), EMPTY)
        return found

    async def _found(self) -> list[RemoteFile]:
        path = self.data.path
        if isinstance(self.data, File):
            return [RemoteFile(_name_of(path), self.data, None)] if await self.data.exists() else []
        file_system = storage.get_underlying_filesystem(path=path)
        root = _key(file_system, path)
        return sorted(
            (
                RemoteFile(key[len(root) :].lstrip("/"), File(path=file_system.unstrip_protocol(key)), _size(details))
                for key, details in (await _find(file_system, path)).items()
                if details.get("type", "file") == "file" and key != root and not key.endswith("/")
            ),
            key=lambda file: file.name,
        )


def invalid_data(value: object, reason: str) -> InvalidValueError:
    """Return the error for `data`."""
    return InvalidValueError(field="data", value=value, reason=reason)


Contents: TypeAlias = LocalContents | ReferenceContents | RemoteContents


def find_contents(data: object) -> Contents:
    """Return what `data` stands for, without reading it.

    Raises:
        InvalidValueError: It does not exist, or is nothing that can be logged.
    """
    if isinstance(data, (Dir, File)):
        return RemoteContents(data) if storage.is_remote(data.path) else _local(data.path.removeprefix("file://"))
    if isinstance(data, str) and "://" in data:
        return _reference(data)
    if isinstance(data, (str, os.PathLike)):
        return _local(os.fspath(data))
    reason = f"must be a flyte.io.Dir or File, a path, or the URL of an object store, not {type(data).__name__}"
    raise invalid_data(None, reason)


def _local(path: str | bytes) -> LocalContents:
    if not isinstance(path, str) or not path:
        raise invalid_data(path, "must be the path of a file or folder, as a string")
    local = Path(path).absolute()
    if not (local.is_dir() or local.is_file()):
        raise invalid_data(path, f"is not a file or folder (in {Path.cwd()}); check the path")
    if local.is_dir() and not any(local.iterdir()):
        raise invalid_data(path, EMPTY)
    return LocalContents(local)


def _reference(url: str) -> ReferenceContents:
    parts = urlsplit(url)
    if parts.scheme not in _REFERENCED:
        known = ", ".join(f"{scheme}://" for scheme in _REFERENCED)
        reason = f"W&B can refer to {known} only; pass Dir(path=...) or File(path=...) to copy the data to W&B"
        raise invalid_data(shown(url), reason)
    if "@" in parts.netloc or {name for name, _ in parse_qsl(parts.query)} - {"versionId"} or parts.fragment:
        reason = (
            "has a user, a query or a fragment, which may be a credential that everybody with access to the artifact "
            "could read; pass the URL without it, or File(path=...) to copy the data to W&B"
        )
        raise invalid_data(shown(url), reason)
    return ReferenceContents(url)


def batches(files: Iterable[RemoteFile], limit: int) -> Iterator[list[RemoteFile]]:
    """Divide files so that each part has at most so many bytes, or one file; files of unknown size are alone."""
    part: list[RemoteFile] = []
    total = 0
    for file in files:
        size = limit if file.size is None else file.size
        if part and total + size > limit:
            yield part
            part, total = [], 0
        part.append(file)
        total += size
    if part:
        yield part


def shown(url: str) -> str:
    """Return a URL without what may be a credential: user, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else url


def redacted(url: str, error: BaseException) -> str:
    """Return the text of an error about a URL in one line, without what may be a credential in the URL."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    redact = Redactor([parts.query, user, *user.split(":", 1), *(value for _, value in parse_qsl(parts.query))])
    # obstore's errors end with a dump of their source.
    return redact(" ".join(str(error).partition("Debug source:")[0].split()))[:400]


async def _find(file_system: Any, path: str) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]]
    if file_system.async_impl:
        found = await file_system._find(path, detail=True)  # noqa: SLF001 - fsspec's interface of async file systems
    else:
        found = await to_thread(lambda: file_system.find(path, detail=True))
    return found


def _key(file_system: Any, path: str) -> str:
    return str(file_system._strip_protocol(path)).rstrip("/")  # noqa: SLF001 - fsspec's interface of file systems


def _size(details: Mapping[str, Any]) -> int | None:
    size = details.get("size")
    return size if isinstance(size, int) else None


def _name_of(path: str) -> str:
    # A key of an object store may contain '?' and '#'.
    return PurePosixPath(urlsplit(path).path if path.startswith("http") else path).name
