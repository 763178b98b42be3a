"""`verify_download`: compare a destination with its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import syncify, to_thread
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.chunks import read_digests
from wandb_artifacts._download.manifest import (
    MANIFEST,
    ArtifactManifest,
    Entry,
    Manifest,
    ProjectManifest,
    RunManifest,
)
from wandb_artifacts._download.options import check_storage_options
from wandb_artifacts._download.results import Failure
from wandb_artifacts._errors import NotFoundError

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Target


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
        destination: The destination of a run, sweep, project or artifact.
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
        what = "a run, sweep, project or artifact"
        msg = f"{target.url} has no {MANIFEST} of a download; pass the destination of {what}"
        raise NotFoundError(msg)
    yield "", target, manifest
    for folder in () if isinstance(manifest, (RunManifest, ArtifactManifest)) else manifest.folders:
        run = target.within(folder)
        path = f"{folder}/"
        yield path, run, manifests.load_run(run) or Failure(f"{path}{MANIFEST}", "is missing")


def _entries(manifest: Manifest) -> Sequence[Entry]:
    if isinstance(manifest, (RunManifest, ArtifactManifest)):
        return manifest.entries()
    return [manifest.index] if isinstance(manifest, ProjectManifest) and manifest.index else []


async def _difference(target: Target, entry: Entry) -> str | None:
    try:
        size, digests = await read_digests(target.chunks(entry.path))
    except FileNotFoundError:
        return "is missing"
    if size != entry.size:
        return f"has {size} bytes, not {entry.size}"
    return None if digests.md5.hex() == entry.md5 else "has other contents (MD5)"
