"""The tally of a download, and progress as lines for logs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wandb_artifacts._cli import output

if TYPE_CHECKING:
    from wandb_artifacts._download.results import FileProgress

_LINE_EVERY = 5.0
"""Seconds."""


class Tally:
    """The sum of the reports of a download. One thread adds; another may read at any time."""

    def __init__(self) -> None:
        self.active: dict[tuple[str, str], FileProgress] = {}
        """Active files, in the order in which they started."""
        self.kept_files = 0
        self.kept_bytes = 0
        self.failed = 0
        self.latest: FileProgress | None = None

    def add(self, moment: FileProgress) -> None:
        key = (moment.owner, moment.name)
        if moment.state == "receiving":
            self.active[key] = moment
        else:
            self.active.pop(key, None)
        if moment.state == "kept":
            self.kept_files += 1
            self.kept_bytes += moment.size or 0
        self.failed += moment.state == "failed"
        self.latest = moment

    @property
    def files(self) -> tuple[int, int]:
        """How many files are complete and how many are known, without those that were there before."""
        if self.latest is None:
            return 0, 0
        return self.latest.files_done - self.kept_files, self.latest.files_known - self.kept_files

    @property
    def bytes(self) -> tuple[int, int]:
        """The same in bytes."""
        if self.latest is None:
            return 0, 0
        return self.latest.bytes_done - self.kept_bytes, self.latest.bytes_known - self.kept_bytes


class Lines:
    """Logs a line every few seconds."""

    def __init__(self, log: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tally = Tally()
        self._log = log
        self._clock = clock
        self._begin = self._last = clock()

    def __call__(self, moment: FileProgress) -> None:
        self._tally.add(moment)
        now = self._clock()
        if now - self._last >= _LINE_EVERY:
            self._last = now
            self._log(self._line(now))

    def _line(self, now: float) -> str:
        tally = self._tally
        (files, all_files), (done, known) = tally.files, tally.bytes
        parts = [
            f"{files:,} of {output.count(all_files, 'file')}",
            f"{output.size(done)} of {output.size(max(known, done))}",
            f"{output.size(done / (now - self._begin))}/s",
        ]
        rows = sum(moment.rows or 0 for moment in tally.active.values())
        parts += [f"{output.count(rows, 'row')} of history"] if rows else []
        parts += [f"{tally.failed:,} failed"] if tally.failed else []
        return f"  {output.seconds(now - self._begin)}: {', '.join(parts)}"
