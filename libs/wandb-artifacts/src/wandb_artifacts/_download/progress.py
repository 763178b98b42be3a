"""Reports of the progress of a download."""

from __future__ import annotations

import time
from typing import Any, Literal

from wandb_artifacts._artifact_refs import ArtifactRef
from wandb_artifacts._client.options import current_options
from wandb_artifacts._download.results import ArtifactProgress, OnArtifactProgress, OnProgress, Progress
from wandb_artifacts._refs import RunRef


class Tracker:
    """Counts what a call has fetched, and reports it."""

    def __init__(self, report: OnProgress | None, report_artifact: OnArtifactProgress | None = None) -> None:
        self._report = report
        self._report_artifact = report_artifact
        self._files_done = 0
        self._files_known = 0
        self._bytes_done = 0
        self._bytes_known = 0
        self._last = 0.0
        self._interval = current_options().report_interval

    def expect(self, files: int, size: int) -> None:
        self._files_known += files
        self._bytes_known += size

    def follow(self, owner: RunRef | ArtifactRef, name: str, size: int | None) -> Follower:
        return Follower(self, owner, name, size)

    def report(
        self,
        follower: Follower,
        state: Literal["receiving", "done", "kept", "failed"],
        *,
        gained: int = 0,
        rows: int | None = None,
    ) -> None:
        self._bytes_done += gained
        if state in ("done", "kept"):
            self._files_done += 1
        if self._report is None and self._report_artifact is None:
            return
        now = time.monotonic()
        if state == "receiving" and follower.is_reported and now - self._last < self._interval:
            return
        follower.is_reported = True
        self._last = now
        fields: dict[str, Any] = {
            "name": follower.name,
            "received": follower.received,
            "size": follower.size,
            "state": state,
            "files_done": self._files_done,
            "files_known": self._files_known,
            "bytes_done": self._bytes_done,
            "bytes_known": self._bytes_known,
        }
        if isinstance(follower.owner, RunRef) and self._report:
            self._report(Progress(run=follower.owner, rows=rows, **fields))
        elif isinstance(follower.owner, ArtifactRef) and self._report_artifact:
            self._report_artifact(ArtifactProgress(artifact=follower.owner, **fields))


class Follower:
    """The reports of one file."""

    def __init__(self, tracker: Tracker, owner: RunRef | ArtifactRef, name: str, size: int | None) -> None:
        self._tracker = tracker
        self.owner = owner
        self.name = name
        self.size = size
        self.received = 0
        self.is_reported = False

    def received_bytes(self, received: int) -> None:
        """Report the bytes that are there; fewer than before if a broken file starts over."""
        gained, self.received = received - self.received, received
        self._tracker.report(self, "receiving", gained=gained)

    def rows(self, rows: int) -> None:
        self._tracker.report(self, "receiving", rows=rows)

    def end(self, state: Literal["done", "kept", "failed"], size: int | None = None) -> None:
        gained = 0 if size is None else size - self.received
        self.received += gained
        self._tracker.report(self, state, gained=gained)
