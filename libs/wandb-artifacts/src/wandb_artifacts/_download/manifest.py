"""`manifest.json`: the contents of a destination, with what identifies unchanged files without reading them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from wandb_artifacts._json import dump

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Target

MANIFEST = "manifest.json"
_VERSION = 1
_MD5 = re.compile("[0-9a-f]{32}")
_UNSAFE = re.compile(r"[\\:\0\ud800-\udfff]|(?:\A|/)\.{0,2}(?:/|\Z)")


@dataclass(frozen=True)
class Entry:
    """A complete file."""

    name: str
    path: str
    size: int
    md5: str
    stamp: str
    """The destination's stamp of the file when it was written; see `Stat`."""
    updated_at: str | None = None
    """When it was updated at W&B."""


@dataclass(frozen=True)
class HistoryEntry(Entry):
    rows: int = 0
    format: str = "json"
    line_count: int | None = None
    last_step: int = -1
    heartbeat_at: str | None = None


@dataclass(frozen=True)
class RunManifest:
    run: str
    url: str
    run_state: str
    is_live: bool
    downloaded_at: str
    is_complete: bool
    """False from the first change of a download until it is complete."""
    files: tuple[Entry, ...]
    summary: Entry | None = None
    history: HistoryEntry | None = None
    made: tuple[Entry, ...] = ()
    """Other files that the download makes."""
    stale: tuple[str, ...] = ()
    other: tuple[Entry, ...] = ()
    """Files of another run whose folder it was; only while a download replaces them."""
    fingerprint: str | None = None
    """See `unchanged.fingerprint`."""

    def entries(self) -> list[Entry]:
        extra = [entry for entry in (self.summary, self.history) if entry]
        return sorted([*self.files, *self.made, *extra], key=lambda entry: entry.path)


@dataclass(frozen=True)
class ArtifactEntry(Entry):
    origin: str = ""
    """Identifies the contents at W&B, or those of a reference."""
    is_verified: bool = True
    """Whether the artifact states a digest or a size to compare with."""


@dataclass(frozen=True)
class ArtifactManifest:
    artifact: str
    """With the version."""
    url: str
    digest: str
    downloaded_at: str
    is_complete: bool
    is_whole: bool
    """Whether all files of the version are here, rather than some that were requested."""
    files: tuple[ArtifactEntry, ...]
    stale: tuple[str, ...] = ()

    def entries(self) -> list[ArtifactEntry]:
        return sorted(self.files, key=lambda entry: entry.path)


@dataclass(frozen=True)
class SweepManifest:
    sweep: str
    url: str
    sweep_state: str
    is_live: bool
    downloaded_at: str
    is_complete: bool
    folders: tuple[str, ...]
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProjectManifest:
    project: str
    url: str
    is_live: bool
    downloaded_at: str
    is_complete: bool
    folders: tuple[str, ...]
    index: Entry | None = None
    other_index: Entry | None = None
    """The index of an earlier download in another format."""


Manifest: TypeAlias = RunManifest | SweepManifest | ProjectManifest | ArtifactManifest


def store(target: Target, manifest: Manifest) -> None:
    document = {"version": _VERSION, **asdict(manifest)}
    target.write(MANIFEST, dump(document, indent=1) + b"\n")


def mark_incomplete(target: Target, manifest: Manifest | None) -> None:
    """Mark the destination as incomplete, before anything in it changes."""
    if manifest and manifest.is_complete:
        store(target, replace(manifest, is_complete=False))


def load(target: Target) -> Manifest | None:
    """Return the manifest of a destination; None if it is missing or not readable by this version."""
    text = target.read(MANIFEST)
    try:
        document = json.loads(text) if text is not None else None
        return _read(document) if isinstance(document, dict) and document.get("version") == _VERSION else None
    except (ValueError, RecursionError):
        return None


def load_run(target: Target) -> RunManifest | None:
    found = load(target)
    return found if isinstance(found, RunManifest) else None


def load_project(target: Target) -> ProjectManifest | None:
    found = load(target)
    return found if isinstance(found, ProjectManifest) else None


def load_sweep(target: Target) -> SweepManifest | None:
    found = load(target)
    return found if isinstance(found, SweepManifest) else None


def _read(document: dict[str, object]) -> Manifest:
    if "project" in document:
        project = msgspec.convert(document, ProjectManifest)
        if project.index and not _is_valid(project.index):
            raise ValueError(MANIFEST)
        return replace(project, folders=_safe(project.folders))
    if "sweep" in document:
        sweep = msgspec.convert(document, SweepManifest)
        return replace(sweep, folders=_safe(sweep.folders), stale=_safe(sweep.stale))
    if "artifact" in document:
        artifact = msgspec.convert(document, ArtifactManifest)
        if not all(map(_is_valid, artifact.files)):
            raise ValueError(MANIFEST)
        return replace(artifact, stale=_safe(artifact.stale))
    run = msgspec.convert(document, RunManifest)
    if not all(map(_is_valid, run.entries())):
        raise ValueError(MANIFEST)
    return replace(run, stale=_safe(run.stale))


def _is_valid(entry: Entry) -> bool:
    return is_safe(entry.path) and entry.size >= 0 and _MD5.fullmatch(entry.md5) is not None


def _safe(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(is_safe, paths))


def is_safe(path: str) -> bool:
    """Return whether a path from a manifest stays in its folder. Anybody may have written the file."""
    return not _UNSAFE.search(path)
