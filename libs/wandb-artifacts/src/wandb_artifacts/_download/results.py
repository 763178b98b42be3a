"""What a download returns: plain values that JSON and pickle carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from wandb_artifacts._errors import DownloadError
from wandb_artifacts._refs import RunRef, SweepRef

HistoryFormat: TypeAlias = Literal["json", "jsonl", "parquet"]
"""How all logged rows are stored."""


@dataclass(frozen=True)
class DownloadedFile:
    """A file that is complete at the destination."""

    name: str
    """Its name at W&B; for what the download itself makes (`summary.json`, the history), the name of that file."""
    path: str
    """Its path below the destination of the run, with '/'. Differs from the name only where the name is unsafe."""
    size: int
    """Bytes."""
    md5: str
    """MD5 digest of its contents, 32 hexadecimal digits."""
    state: Literal["new", "kept"]
    """Whether this call wrote it or found it complete."""


@dataclass(frozen=True)
class Failure:
    """What is missing, and why."""

    name: str
    """A file's name at W&B; the id of a run for a run that failed as a whole."""
    reason: str
    """One line."""


@dataclass(frozen=True)
class RunDownload:
    """A run as it is at the destination now."""

    run: RunRef
    destination: str
    """The folder: a path, or an fsspec URL."""
    run_state: str
    """W&B's word at the time of the download: running, finished, failed, crashed, killed, preempting, ..."""
    files: tuple[DownloadedFile, ...]
    """All files of the run, sorted by path, the summary and the history among them."""
    history_path: str | None = None
    """The file of the history below the destination; None where it was not asked for."""
    history_rows: int | None = None
    """How many rows it has."""
    stale: tuple[str, ...] = ()
    """Paths of files that an earlier download left and the run no longer has. They are not removed."""
    failed: tuple[Failure, ...] = ()
    """What is missing. Never empty on an `IncompleteDownloadError`, always empty on what is returned."""

    @property
    def is_live(self) -> bool:
        """Whether the run was still going on, so that a later download may find more."""
        return self.run_state in LIVE_STATES

    def to_dict(self) -> dict[str, object]:
        """As values that JSON has."""
        return {**asdict(self), "is_live": self.is_live}


@dataclass(frozen=True)
class SweepDownload:
    """A sweep as it is at the destination now: one folder a run."""

    sweep: SweepRef
    destination: str
    """The folder: a path, or an fsspec URL. `RunDownload.destination` names the folder of each run in it."""
    sweep_state: str
    """W&B's word at the time of the download: RUNNING, PAUSED, FINISHED, CANCELED, ..."""
    runs: tuple[RunDownload, ...]
    """In the order in which W&B created them."""
    stale: tuple[str, ...] = ()
    """Folders of runs that an earlier download left and the sweep no longer has. They are not removed."""
    failed: tuple[Failure, ...] = ()
    """Runs that failed as a whole; what single runs miss is in `RunDownload.failed`."""

    @property
    def is_live(self) -> bool:
        """Whether a run of it was still going on, so that a later download may find more."""
        return any(run.is_live for run in self.runs)

    def to_dict(self) -> dict[str, object]:
        """As values that JSON has."""
        runs = [run.to_dict() for run in self.runs]
        return {**asdict(self), "runs": runs, "is_live": self.is_live}


LIVE_STATES = frozenset({"running", "pending", "preempting"})
"""States of a run that has not ended."""


@dataclass(frozen=True)
class Progress:
    """A moment of a download. Given to `progress` as it goes, on the thread (and loop) that downloads: return soon."""

    run: RunRef
    """The run that the file belongs to."""
    name: str
    """The file that this is about."""
    received: int
    """Bytes of it that are there."""
    size: int | None
    """Its size in bytes; None where nobody knows it before its end (the history)."""
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
    """Some of what was asked for is missing; the rest has arrived, and the same call fetches only what is missing.

    Args:
        result: What is there and, in `failed`, exactly what is missing.
    """

    def __init__(self, result: RunDownload | SweepDownload) -> None:
        self.result = result
        super().__init__(_missing(result))

    def __reduce__(self) -> tuple[type[IncompleteDownloadError], tuple[RunDownload | SweepDownload]]:
        return type(self), (self.result,)


def _missing(result: RunDownload | SweepDownload) -> str:
    if isinstance(result, RunDownload):
        what, failures = f"run {result.run}", [(failure.name, failure.reason) for failure in result.failed]
    else:
        what = f"sweep {result.sweep}"
        failures = [(failure.name, failure.reason) for failure in result.failed]
        failures += [(f"{run.run.id}/{lost.name}", lost.reason) for run in result.runs for lost in run.failed]
    lines = "".join(f"\n  {name}: {reason}" for name, reason in failures)
    return f"{what} is incomplete in {result.destination}; call again to fetch what is missing:{lines}"
