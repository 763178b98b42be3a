"""`manifest.json`: what a destination holds, and what is needed to know it again without reading it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wandb_artifacts._destination.base import Target

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """A complete file."""

    name: str
    path: str
    size: int
    md5: str
    stamp: str
    """What the place said of it when it was written."""
    updated_at: str | None = None
    """What W&B said of it."""


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
    """False from the moment a download changes something until it has everything."""
    files: tuple[Entry, ...]
    summary: Entry | None = None
    history: HistoryEntry | None = None
    stale: tuple[str, ...] = ()

    def entries(self) -> list[Entry]:
        extra = [entry for entry in (self.summary, self.history) if entry]
        return sorted([*self.files, *extra], key=lambda entry: entry.path)


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


def store(target: Target, manifest: RunManifest | SweepManifest) -> None:
    document = {"version": _VERSION, **asdict(manifest)}
    target.write(MANIFEST, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def take_back(target: Target, manifest: RunManifest | SweepManifest | None) -> None:
    """Says that the destination is not complete, before something in it changes."""
    if manifest and manifest.is_complete:
        store(target, replace(manifest, is_complete=False))


def load(target: Target) -> RunManifest | SweepManifest | None:
    """The manifest at a destination; None where there is none that this version can use."""
    text = target.read(MANIFEST)
    try:
        document = json.loads(text) if text is not None else None
        return _read(document) if isinstance(document, dict) and document.pop("version", None) == _VERSION else None
    except (ValueError, TypeError, KeyError):
        return None


def load_run(target: Target) -> RunManifest | None:
    found = load(target)
    return found if isinstance(found, RunManifest) else None


def load_sweep(target: Target) -> SweepManifest | None:
    found = load(target)
    return found if isinstance(found, SweepManifest) else None


def _read(document: dict[str, Any]) -> RunManifest | SweepManifest:
    stale = _safe(document.pop("stale"))
    if "sweep" in document:
        return SweepManifest(**{**document, "folders": _safe(document["folders"])}, stale=stale)
    files = tuple(Entry(**entry) for entry in document.pop("files"))
    summary, history = document.pop("summary"), document.pop("history")
    found = RunManifest(
        **document,
        files=files,
        summary=Entry(**summary) if summary else None,
        history=HistoryEntry(**history) if history else None,
        stale=stale,
    )
    if any(not is_safe(entry.path) for entry in found.entries()):
        raise ValueError(MANIFEST)
    return found


def _safe(paths: Iterable[object]) -> tuple[str, ...]:
    return tuple(path for path in paths if isinstance(path, str) and is_safe(path))


def is_safe(path: str) -> bool:
    """Whether a path that was read from a file stays in its folder: the file may be anybody's."""
    return not any(part in ("", ".", "..") for part in path.split("/")) and not set("\\:\0").intersection(path)
