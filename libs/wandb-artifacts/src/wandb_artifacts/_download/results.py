"""Results of a download: plain values that can be pickled and encoded as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

from wandb_artifacts._errors import DownloadError
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts._refs import RunRef, SweepRef

HistoryFormat: TypeAlias = Literal["json", "jsonl", "parquet"]
"""How all logged rows are stored."""


@dataclass(frozen=True)
class DownloadedFile:
    """A file that is complete at the destination."""

    name: str
    """Its name at W&B; for files that the download makes (`summary.json`, the history), their file name.

    If the run itself has a file of that name, that of the download's own file ends with ` (made by the download)`.
    """
    path: str
    """Its path below the destination of the run, with '/'. Differs from the name only if the name is unsafe."""
    size: int
    """Bytes."""
    md5: str
    """MD5 digest of its contents, 32 hexadecimal digits."""
    state: Literal["new", "kept"]
    """`new` if this call fetched it, `kept` if it was already there."""


@dataclass(frozen=True)
class Failure:
    """A missing file or run, and why."""

    name: str
    """The name of a file at W&B, or the id of a run that failed as a whole."""
    reason: str
    """One line."""


@dataclass(frozen=True)
class RunDownload:
    """A run as it is at the destination now."""

    run: RunRef
    destination: str
    """The folder: a path, or an fsspec URL."""
    run_state: str
    """The state at the time of the download: running, finished, failed, crashed, killed, preempting, ..."""
    files: tuple[DownloadedFile, ...]
    """All files of the run sorted by path, including those that the download makes."""
    history_path: str | None = None
    """The path of the history below the destination; None if it was not requested."""
    history_rows: int | None = None
    """The number of its rows."""
    stale: tuple[str, ...] = ()
    """Paths of files from an earlier download that the run no longer has. They are not removed."""
    failed: tuple[Failure, ...] = ()
    """The missing files. Always empty on a returned result, never on that of an `IncompleteDownloadError`."""
    preserved: tuple[str, ...] = ()
    """Paths of copies of files that somebody else had stored under names of the download's own files."""

    @property
    def is_live(self) -> bool:
        """Whether the run was still active, so that a later download may find more."""
        return self.run_state in LIVE_STATES

    def to_dict(self) -> dict[str, object]:
        """Return the fields as values for JSON."""
        return {**asdict(self), "is_live": self.is_live}


@dataclass(frozen=True)
class SweepDownload:
    """A sweep as it is at the destination now: one folder per run."""

    sweep: SweepRef
    destination: str
    """The folder: a path, or an fsspec URL. `RunDownload.destination` names the folder of each run in it."""
    sweep_state: str
    """The state at the time of the download: RUNNING, PAUSED, FINISHED, CANCELED, ..."""
    runs: tuple[RunDownload, ...]
    """In the order in which W&B created them."""
    stale: tuple[str, ...] = ()
    """Folders of runs from an earlier download that the sweep no longer has. They are not removed."""
    failed: tuple[Failure, ...] = ()
    """Runs that failed as a whole; missing files of single runs are in `RunDownload.failed`."""

    @property
    def is_live(self) -> bool:
        """Whether one of its runs was still active, so that a later download may find more."""
        return any(run.is_live for run in self.runs)

    def to_dict(self) -> dict[str, object]:
        """Return the fields as values for JSON."""
        runs = [run.to_dict() for run in self.runs]
        return {**asdict(self), "runs": runs, "is_live": self.is_live}


@dataclass(frozen=True)
class RunsDownload:
    """The runs of a project that matched, as they are at the destination now: one folder per run."""

    project: ProjectRef
    destination: str
    """The folder: a path, or an fsspec URL. `RunDownload.destination` names the folder of each run in it."""
    matched: int
    """The number of runs that matched."""
    files: int
    """The number of their files at the destination, including those that the download makes.

    In a dry run: of those that W&B lists; a download makes more.
    """
    bytes: int
    """The size of these files."""
    runs: tuple[RunDownload, ...] = ()
    """In the order in which W&B created them. Without their `files`: a project may have millions."""
    failed: tuple[Failure, ...] = ()
    """Runs that failed as a whole; missing files of single runs are in `RunDownload.failed`."""
    stale: tuple[str, ...] = ()
    """Folders of earlier downloads whose runs did not match this time. They are not removed."""
    dry_run: bool = False
    """Whether nothing was downloaded."""
    new_files: int = 0
    """How many of the files this call fetched."""
    new_bytes: int = 0
    """Their size."""
    index_path: str | None = None
    """The path of the index below the destination; None in a dry run."""
    preserved: tuple[str, ...] = ()
    """Paths of copies of files that somebody else had stored under names of the download's own files."""

    @property
    def is_live(self) -> bool:
        """Whether one of the runs was still active, so that a later download may find more."""
        return any(run.is_live for run in self.runs)

    def to_dict(self) -> dict[str, object]:
        """Return the fields as values for JSON."""
        runs = [run.to_dict() for run in self.runs]
        return {**asdict(replace(self, runs=())), "runs": runs, "is_live": self.is_live}


AnyDownload: TypeAlias = RunDownload | SweepDownload | RunsDownload
"""The result of a download."""

LIVE_STATES = frozenset({"running", "pending", "preempting"})
"""States of a run that has not ended."""
_MOST_LINES = 100
"""Of an error message."""


@dataclass(frozen=True)
class Progress:
    """A progress report. Passed to `progress` on the thread (and loop) of the download: return quickly."""

    run: RunRef
    """The run that the file belongs to."""
    name: str
    """The name of the file."""
    received: int
    """Bytes of the file that are there."""
    size: int | None
    """Its size in bytes; None if it is unknown (the history)."""
    state: Literal["receiving", "done", "kept", "failed"]
    rows: int | None = None
    """For the history: rows so far."""
    files_done: int = 0
    """Files of the whole call that are complete."""
    files_known: int = 0
    """Files of the whole call that W&B has listed so far."""
    bytes_done: int = 0
    """Bytes of the whole call that are there."""
    bytes_known: int = 0
    """Bytes of the whole call that W&B has listed so far."""


OnProgress: TypeAlias = Callable[[Progress], None]


class IncompleteDownloadError(DownloadError):
    """Some files are missing; the others are there, and the same call fetches only the missing ones.

    Args:
        result: The files that are there and, in `failed`, those that are missing.
    """

    def __init__(self, result: AnyDownload) -> None:
        self.result = result
        super().__init__(_missing(result))

    def __reduce__(self) -> tuple[type[IncompleteDownloadError], tuple[AnyDownload]]:
        return type(self), (self.result,)


def describe(result: AnyDownload) -> str:
    """Return what was downloaded, such as `run team/project/id`."""
    if isinstance(result, RunsDownload):
        return f"project {result.project}"
    return f"run {result.run}" if isinstance(result, RunDownload) else f"sweep {result.sweep}"


def failures(result: AnyDownload) -> tuple[list[Failure], list[Failure]]:
    """Return the missing runs, and the missing files; those of several runs with their run's id before the name."""
    if isinstance(result, RunDownload):
        return [], list(result.failed)
    files = [Failure(f"{run.run.id}/{lost.name}", lost.reason) for run in result.runs for lost in run.failed]
    return list(result.failed), files


def _missing(result: AnyDownload) -> str:
    runs, files = failures(result)
    lines = [f"\n  {failure.name}: {failure.reason}" for failure in runs + files]
    more = len(lines) - _MOST_LINES
    lines[_MOST_LINES:] = [f"\n  ... and {more:,} more"] if more > 0 else []
    where = f"{describe(result)} is incomplete in {result.destination}"
    return f"{where}; call again to fetch the missing files:{''.join(lines)}"
