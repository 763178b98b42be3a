"""Reading what a download left, against its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wandb_artifacts import _manifest
from wandb_artifacts._disk import on_disk
from wandb_artifacts._errors import NotFoundError
from wandb_artifacts._manifest import MANIFEST, Entry, RunManifest, SweepManifest
from wandb_artifacts._options import check_storage_options
from wandb_artifacts._results import Failure
from wandb_artifacts._storage import open_target
from wandb_artifacts._twins import Twin

if TYPE_CHECKING:
    from wandb_artifacts._storage._target import Target


@dataclass(frozen=True)
class Verification:
    """What a destination holds, against what its manifest says."""

    destination: str
    checked: int
    """How many files were read."""
    bytes: int
    """How many bytes they have."""
    failed: tuple[Failure, ...]
    """Files that are missing or differ, by their path below the destination."""
    stale: tuple[str, ...]
    """Files that are there and belong to no download."""

    @property
    def is_good(self) -> bool:
        """Whether every file that was downloaded is there, unchanged, and none was missing at the download."""
        return not self.failed

    def to_dict(self) -> dict[str, object]:
        """As values that JSON has."""
        return {**asdict(self), "is_good": self.is_good}


@Twin
async def verify_download(
    destination: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None
) -> Verification:
    """Reads all files of a download and compares them with the sizes and digests in its manifest. Asks W&B nothing.

    `verify_download(...)` blocks; `await verify_download.aio(...)` does not.

    Args:
        destination: Where a run or a sweep was downloaded to.
        storage_options: What fsspec needs for it.

    Returns:
        What was found.

    Raises:
        InvalidValueError: An argument cannot be meant.
        NotFoundError: There is no manifest: nothing was downloaded to it.
        DestinationError: It cannot be read.
    """
    options = check_storage_options(storage_options)
    return await on_disk(_verify, destination, options)


def _verify(destination: str | os.PathLike[str], options: dict[str, object]) -> Verification:
    target = open_target(destination, options)
    checked, size, failed, known = 0, 0, list[Failure](), set[str]()
    for prefix, folder, manifest in _manifests(target):
        known.add(f"{prefix}{MANIFEST}")
        if isinstance(manifest, Failure):
            failed.append(manifest)
            continue
        if not manifest.is_complete:
            failed.append(Failure(f"{prefix}{MANIFEST}", "the download is not complete; call it again"))
        if isinstance(manifest, RunManifest):
            for entry in manifest.entries():
                known.add(f"{prefix}{entry.path}")
                checked, size = checked + 1, size + entry.size
                if reason := _difference(folder, entry):
                    failed.append(Failure(f"{prefix}{entry.path}", reason))
    stale = tuple(path for path in target.paths() if path not in known)
    return Verification(target.url, checked, size, tuple(failed), stale)


def _manifests(target: Target) -> Iterator[tuple[str, Target, RunManifest | SweepManifest | Failure]]:
    manifest = _manifest.load(target)
    if manifest is None:
        msg = f"{target.url} has no {MANIFEST} of a download; name the folder that a run or sweep was downloaded to"
        raise NotFoundError(msg)
    yield "", target, manifest
    if isinstance(manifest, RunManifest):
        return
    for folder in manifest.folders:
        run = target.within(folder)
        yield f"{folder}/", run, _manifest.load_run(run) or Failure(f"{folder}/{MANIFEST}", "is missing")


def _difference(target: Target, entry: Entry) -> str | None:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        for chunk in target.chunks(entry.path):
            digest.update(chunk)
            size += len(chunk)
    except FileNotFoundError:
        return "is missing"
    if size != entry.size:
        return f"has {size} bytes, not {entry.size}"
    return None if digest.hexdigest() == entry.md5 else "has other contents (MD5)"
