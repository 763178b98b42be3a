"""`manifest.json`: the contents of a destination, with what identifies unchanged files without reading them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import msgspec

from wandb_artifacts._json import dump

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Target

T = TypeVar("T")

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
    if text is None:
        return None
    try:
        return _read(text, msgspec.json.decode)
    except msgspec.DecodeError:
        # Not valid for msgspec, or not of this shape; the standard library accepts halves of surrogate pairs.
        return _read_lenient(text)
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


class _Head(msgspec.Struct):
    """The version, and the keys that tell the kinds of manifests apart."""

    version: object = None
    project: object = None
    sweep: object = None
    artifact: object = None


class _Decode(Protocol):
    """Returns a document as a value of a type; see `msgspec.json.decode` and `msgspec.convert`."""

    def __call__(self, source: Any, /, *, type: type[T]) -> T: ...  # noqa: A002


def _read_lenient(text: bytes) -> Manifest | None:
    try:
        return _read(json.loads(text), msgspec.convert)
    except (ValueError, RecursionError):
        return None


def _read(source: object, decode: _Decode) -> Manifest | None:
    """Return a manifest; None if it was written by another version.

    Raises:
        ValueError: It is not one.
    """
    head = decode(source, type=_Head)
    if head.version != _VERSION:
        return None
    if head.project is not None:
        project = decode(source, type=ProjectManifest)
        _check([entry for entry in (project.index, project.other_index) if entry])
        return replace(project, folders=_safe(project.folders))
    if head.sweep is not None:
        sweep = decode(source, type=SweepManifest)
        return replace(sweep, folders=_safe(sweep.folders), stale=_safe(sweep.stale))
    if head.artifact is not None:
        artifact = decode(source, type=ArtifactManifest)
        _check(artifact.files)
        return replace(artifact, stale=_safe(artifact.stale))
    run = decode(source, type=RunManifest)
    _check(chain(run.files, run.made, filter(None, (run.summary, run.history))))
    return replace(run, stale=_safe(run.stale)) if run.stale else run


def _check(entries: Iterable[Entry]) -> None:
    if not all(map(_is_valid, entries)):
        raise ValueError(MANIFEST)


def _is_valid(entry: Entry) -> bool:
    return is_safe(entry.path) and entry.size >= 0 and _MD5.fullmatch(entry.md5) is not None


def _safe(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(is_safe, paths))


def is_safe(path: str) -> bool:
    """Return whether a path from a manifest stays in its folder. Anybody may have written the file."""
    return not _UNSAFE.search(path)
