"""Runs, files and exports as W&B has them: plain values, read from its responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_artifacts._client.pages import to_page

if TYPE_CHECKING:
    from wandb_artifacts._client import responses
    from wandb_artifacts._destination.digests import Algorithm
    from wandb_artifacts._refs import RunRef


@dataclass(frozen=True)
class RemoteFile:
    """A file of a run at W&B."""

    name: str
    size: int | None
    """Bytes; None if W&B does not report it."""
    md5: bytes | None
    """The digest; None if W&B does not report it."""
    url: str
    """May carry a signature: never shown."""
    updated_at: str | None = None

    @classmethod
    def of(cls, found: responses.File) -> RemoteFile:
        """Read a file of a response."""
        return cls(found.name, found.size, found.digest, found.url or "", found.updated_at)

    @property
    def digest(self) -> bytes | None:
        return self.md5

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm of the digest."""
        return "md5"


@dataclass(frozen=True)
class RemoteRun:
    """A run at W&B."""

    ref: RunRef
    state: str
    summary: str
    """JSON, as W&B stores it: may contain NaN as a bare word."""
    last_step: int
    """-1 if nothing was logged, or W&B does not report it."""
    line_count: int | None
    heartbeat_at: str | None
    files: tuple[RemoteFile, ...]
    """The first page of them; all, if `more_files` is None."""
    more_files: str | None
    """The cursor of the next page."""
    log_line_count: int | None = None
    """The number of console lines."""
    file_count: int | None = None
    """The number of files; None if it was not requested."""
    config: str | None = None
    """JSON in W&B's form."""
    name: str | None = None
    """The display name."""
    notes: str | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    """The id of its sweep."""
    created_at: str | None = None
    user: str | None = None
    is_outline: bool = False
    """Whether the sizes and URLs of the files and the last step are missing, which take W&B long."""

    @classmethod
    def of(cls, ref: RunRef, found: responses.Run, *, outline: bool = False) -> RemoteRun:
        """Read a run of a response."""
        page = to_page(found.files, f"the files of run {ref}")
        last_step = found.history_keys.last_step if found.history_keys else None
        return cls(
            ref=ref,
            state=found.state,
            summary=found.summary_metrics or "{}",
            last_step=-1 if last_step is None else last_step,
            line_count=found.history_line_count,
            heartbeat_at=found.heartbeat_at,
            files=tuple(map(RemoteFile.of, page.nodes)),
            more_files=page.next_cursor,
            log_line_count=found.log_line_count,
            file_count=found.file_count,
            config=found.config,
            name=found.display_name,
            notes=found.notes,
            tags=tuple(found.tags or ()),
            group=found.group,
            job_type=found.job_type,
            sweep=found.sweep_name,
            created_at=found.created_at,
            user=found.user.username if found.user else None,
            is_outline=outline,
        )


@dataclass(frozen=True)
class HistoryExports:
    """The part of a run's history that W&B has exported to Parquet files."""

    urls: tuple[str, ...]
    """Signed URLs in no particular order: never shown."""
    live_steps: tuple[int, int] | None
    """The first and the last step of rows that are not exported; None if all are exported."""
