"""Reading what a download left, against its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import Twin, to_thread
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.manifest import MANIFEST, Entry, RunManifest, SweepManifest
from wandb_artifacts._download.options import check_storage_options
from wandb_artifacts._download.results import Failure
from wandb_artifacts._errors import NotFoundError

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Target

_CHUNKS_AT_ONCE = 32


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
    target = await to_thread(open_target, destination, check_storage_options(storage_options))
    checked, size, failed, known = 0, 0, list[Failure](), set[str]()
    for prefix, folder, manifest in await to_thread(_manifests, target):
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
                if reason := await _difference(folder, entry):
                    failed.append(Failure(f"{prefix}{entry.path}", reason))
    stale = tuple(path for path in await to_thread(target.paths) if path not in known)
    return Verification(target.url, checked, size, tuple(failed), stale)


def _manifests(target: Target) -> list[tuple[str, Target, RunManifest | SweepManifest | Failure]]:
    manifest = manifests.load(target)
    if manifest is None:
        msg = f"{target.url} has no {MANIFEST} of a download; name the folder that a run or sweep was downloaded to"
        raise NotFoundError(msg)
    found: list[tuple[str, Target, RunManifest | SweepManifest | Failure]] = [("", target, manifest)]
    for folder in manifest.folders if isinstance(manifest, SweepManifest) else ():
        run = target.within(folder)
        path = f"{folder}/"
        found.append((path, run, manifests.load_run(run) or Failure(f"{path}{MANIFEST}", "is missing")))
    return found


async def _difference(target: Target, entry: Entry) -> str | None:
    try:
        size, md5 = await read_md5(target.chunks(entry.path))
    except FileNotFoundError:
        return "is missing"
    if size != entry.size:
        return f"has {size} bytes, not {entry.size}"
    return None if md5.hex() == entry.md5 else "has other contents (MD5)"


async def read_md5(chunks: Iterator[bytes]) -> tuple[int, bytes]:
    """The size and the MD5 digest of a file, a piece at a time: cancelling does not wait for the end of a large one."""
    digest, size = hashlib.md5(usedforsecurity=False), 0

    def read_on() -> bool:
        nonlocal size
        for count, chunk in enumerate(chunks, 1):
            digest.update(chunk)
            size += len(chunk)
            if count == _CHUNKS_AT_ONCE:
                return True
        return False

    while await to_thread(read_on):
        pass
    return size, digest.digest()
