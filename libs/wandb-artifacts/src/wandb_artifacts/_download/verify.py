"""`verify_download`: compare a destination with its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import syncify, to_thread
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.manifest import MANIFEST, Entry, Manifest, ProjectManifest, RunManifest
from wandb_artifacts._download.options import check_storage_options
from wandb_artifacts._download.results import Failure
from wandb_artifacts._errors import NotFoundError

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Target

_CHUNKS_AT_ONCE = 32


@dataclass(frozen=True)
class Verification:
    """The result of comparing a destination with its manifest."""

    destination: str
    checked: int
    """The number of files that were read."""
    bytes: int
    """Their total size."""
    failed: tuple[Failure, ...]
    """Files that are missing or differ, by their path below the destination."""
    stale: tuple[str, ...]
    """Files that do not belong to a download."""

    @property
    def is_good(self) -> bool:
        """Whether the download was complete, and every file is still there and unchanged."""
        return not self.failed

    def to_dict(self) -> dict[str, object]:
        """Return the fields as values for JSON."""
        return {**asdict(self), "is_good": self.is_good}


@syncify
async def verify_download(
    destination: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None
) -> Verification:
    """Read all files of a download and compare them with its manifest. Sends no request to W&B.

    `verify_download(...)` blocks; `await verify_download.aio(...)` does not.

    Args:
        destination: The destination of a run, sweep or project.
        storage_options: fsspec options for it.

    Returns:
        The differences.

    Raises:
        InvalidValueError: An argument is invalid.
        NotFoundError: The destination has no manifest, so nothing was downloaded to it.
        DestinationError: It is not readable.
    """
    target = await to_thread(open_target, destination, check_storage_options(storage_options))
    checked, size, failed, known = 0, 0, list[Failure](), set[str]()
    found = _manifests(target)
    while (each := await to_thread(next, found, None)) is not None:
        prefix, folder, manifest = each
        known.add(f"{prefix}{MANIFEST}")
        if isinstance(manifest, Failure):
            failed.append(manifest)
            continue
        if not manifest.is_complete:
            failed.append(Failure(f"{prefix}{MANIFEST}", "the download is incomplete; run it again"))
        for entry in _entries(manifest):
            known.add(f"{prefix}{entry.path}")
            checked, size = checked + 1, size + entry.size
            if reason := await _difference(folder, entry):
                failed.append(Failure(f"{prefix}{entry.path}", reason))
    stale = tuple(path for path in await to_thread(target.paths) if path not in known)
    return Verification(target.url, checked, size, tuple(failed), stale)


def _manifests(target: Target) -> Iterator[tuple[str, Target, Manifest | Failure]]:
    manifest = manifests.load(target)
    if manifest is None:
        msg = f"{target.url} has no {MANIFEST} of a download; pass the destination of a run, sweep or project"
        raise NotFoundError(msg)
    yield "", target, manifest
    for folder in () if isinstance(manifest, RunManifest) else manifest.folders:
        run = target.within(folder)
        path = f"{folder}/"
        yield path, run, manifests.load_run(run) or Failure(f"{path}{MANIFEST}", "is missing")


def _entries(manifest: Manifest) -> list[Entry]:
    if isinstance(manifest, RunManifest):
        return manifest.entries()
    return [manifest.index] if isinstance(manifest, ProjectManifest) and manifest.index else []


async def _difference(target: Target, entry: Entry) -> str | None:
    try:
        size, md5 = await read_md5(target.chunks(entry.path))
    except FileNotFoundError:
        return "is missing"
    if size != entry.size:
        return f"has {size} bytes, not {entry.size}"
    return None if md5.hex() == entry.md5 else "has other contents (MD5)"


async def read_md5(chunks: Iterator[bytes]) -> tuple[int, bytes]:
    """Return the size and the MD5 digest of a file. Cancelling does not wait for the end of a large file."""
    digest, size = hashlib.md5(usedforsecurity=False), 0

    def read_some() -> bool:
        nonlocal size
        for count, chunk in enumerate(chunks, 1):
            digest.update(chunk)
            size += len(chunk)
            if count == _CHUNKS_AT_ONCE:
                return True
        return False

    while await to_thread(read_some):
        pass
    return size, digest.digest()
