"""Files that a download makes itself: the history, the console output, and records of the run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._download import records
from wandb_artifacts._download.manifest import MANIFEST, Entry, HistoryEntry, RunManifest
from wandb_artifacts._download.records import CONFIG, CONSOLE, IDENTITY, METADATA, SUMMARY
from wandb_artifacts._download.results import LIVE_STATES, Failure
from wandb_artifacts._errors import AuthenticationError, DestinationError, DownloadError, ServerAnswerError
from wandb_artifacts._history.export import export_history, history_file
from wandb_artifacts._history.exports import RunExports
from wandb_artifacts._history.scan import HistorySource

if TYPE_CHECKING:
    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.options import Options
    from wandb_artifacts._download.progress import Tracker

HISTORY_FILES = tuple(history_file(name) for name in ("json", "jsonl", "parquet"))
RESERVED = frozenset({MANIFEST, SUMMARY, CONFIG, IDENTITY, *HISTORY_FILES})
"""Names of the download's own files; a file of the run with such a name is stored under a marked name."""
FATAL = (AuthenticationError, DestinationError)
"""Errors that every other file would run into as well."""
_PAGES_AHEAD = 4
_LARGEST_METADATA = 2**20
"""Bytes."""


@dataclass(frozen=True)
class Work:
    """The parts of a call that all runs share."""

    api: Api
    options: Options
    tracker: Tracker


@dataclass
class Found:
    """The files found so far."""

    entries: list[Entry]
    carried: list[Entry]
    """Valid files that are there but were not requested."""
    new: set[str]
    failed: list[Failure]
    summary: Entry | None = None
    history: HistoryEntry | None = None
    made: list[Entry] = field(default_factory=list)
    """Other files that the download makes."""
    preserved: list[str] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.new.add(entry.path)


class OwnFiles:
    """The files that the download of one run makes itself.

    Args:
        work: The call.
        run: The run.
        target: The folder.
        before: What is in it, if the folder had a manifest.
        found: Gets the files.
        paths: The paths of the run's files by their names.
    """

    def __init__(
        self,
        work: Work,
        run: RemoteRun,
        target: Target,
        before: RunManifest | None,
        found: Found,
        paths: Mapping[str, str],
    ) -> None:
        self._work = work
        self._run = run
        self._target = target
        self._before = before
        self._found = found
        self._names = paths.keys()
        self._has_console = records.has_console_file(paths)

    async def history(self, kept: HistoryEntry | None) -> None:
        if not self._work.options.include_history:
            self._found.history = kept
            return
        name = history_file(self._work.options.history_format)
        follower = self._work.tracker.follow(self._run.ref, name, None)
        self._work.tracker.expect(1, 0)
        if kept and kept.format == self._work.options.history_format:
            self._found.history = kept
            follower.end("kept")
            return
        try:
            self._found.history = await self._export(name, follower.rows)
        except FATAL:
            raise
        except DownloadError as error:
            follower.end("failed")
            reason = reason_of(error, f"the history of run {self._run.ref}")
            self._found.failed.append(Failure(self._own_name(name), reason))
        else:
            self._found.new.add(name)
            follower.end("done")

    async def console(self) -> None:
        """Make `output.log` of W&B's console lines, if the run has no such file: it was killed, or still runs."""
        run, kept = self._run, await to_thread(self._console_kept)
        if self._has_console or not run.log_line_count:
            return
        if kept or not self._work.options.wants(CONSOLE):
            self._found.made += [kept] if kept else []
            return
        follower = self._work.tracker.follow(run.ref, CONSOLE, None)
        self._work.tracker.expect(1, 0)
        try:
            self._found.made.append(await self._export_console())
        except FATAL:
            raise
        except DownloadError as error:
            follower.end("failed")
            self._found.failed.append(Failure(CONSOLE, reason_of(error, f"the console lines of run {run.ref}")))
        else:
            self._found.new.add(CONSOLE)
            follower.end("done")

    def _console_kept(self) -> Entry | None:
        """Return the `output.log` that an earlier call has made, if no line can have been added since."""
        made = self._before.made if self._before else ()
        entry = next((entry for entry in made if entry.path == CONSOLE), None)
        if entry is None or self._run.state in LIVE_STATES or entry.updated_at != self._run.heartbeat_at:
            return None
        stat = self._target.stat(CONSOLE)
        return entry if entry.updated_at and stat and stat.stamp == entry.stamp else None

    async def _export_console(self) -> Entry:
        run, count = self._run, 0
        part = await to_thread(self._target.part, CONSOLE)
        try:
            async for lines in self._work.api.console(run):
                count += len(lines)
                text = "".join(f"{line}\n" for line in lines)
                await to_thread(part.write, text.encode(errors="backslashreplace"))
            if count < (run.log_line_count or 0):
                msg = f"W&B counts {run.log_line_count} console lines and returned {count}"
                raise ServerAnswerError(msg)
            size, md5 = part.size, await to_thread(part.md5)
            stat = await to_thread(part.commit)
        finally:
            await to_thread(part.close)
        return Entry(CONSOLE, CONSOLE, size, md5.hex(), stat.stamp, run.heartbeat_at)

    def history_kept(self) -> HistoryEntry | None:
        """Return the history that is there, if no row can have been added since."""
        run, entry = self._run, self._before.history if self._before else None
        if entry is None or run.state in LIVE_STATES:
            return None
        now = (run.line_count, run.last_step, run.heartbeat_at)
        if now == (None, -1, None) or now != (entry.line_count, entry.last_step, entry.heartbeat_at):
            return None
        stat = self._target.stat(entry.path)
        return entry if stat and stat.stamp == entry.stamp else None

    async def _export(self, name: str, on_rows: Callable[[int], None]) -> HistoryEntry:
        run, form = self._run, self._work.options.history_format
        part = await to_thread(self._target.part, name)
        try:
            # The summary has the last value of each key, so a row is about as long.
            page = partial(self._work.api.page, run.ref)
            exports = RunExports(self._work.api, run.ref, self._target, name)
            source = HistorySource(
                run.last_step, run.line_count, len(run.summary), page, exports=exports, count_again=self._count_again
            )
            rows = await export_history(source, part, form, ahead=_PAGES_AHEAD, on_rows=on_rows)
            size, md5 = part.size, await to_thread(part.md5)
            stat = await to_thread(part.commit)
        finally:
            await to_thread(part.close)
        return HistoryEntry(
            self._own_name(name),
            name,
            size,
            md5.hex(),
            stat.stamp,
            rows=rows,
            format=form,
            line_count=run.line_count,
            last_step=run.last_step,
            heartbeat_at=run.heartbeat_at,
        )

    async def _count_again(self) -> int | None:
        now = await self._work.api.run(self._run.ref)
        return None if LIVE_STATES & {now.state, self._run.state} else now.line_count

    def records(self) -> None:
        """Store what W&B knows of the run beside its files."""
        found, run = self._found, self._run
        found.summary = self._record(SUMMARY, lambda: records.summary_json(run))
        made = [
            self._record(CONFIG, lambda: records.config_json(run)),
            self._record(IDENTITY, lambda: records.identity_json(run, self._metadata())),
        ]
        found.made += [entry for entry in made if entry]

    def _metadata(self) -> bytes | None:
        known = [*self._found.entries, *self._found.carried]
        found = next((entry for entry in known if entry.name == METADATA and entry.size <= _LARGEST_METADATA), None)
        return self._target.read(found.path) if found else None

    def _record(self, name: str, make: Callable[[], bytes]) -> Entry | None:
        try:
            data = make()
        except ServerAnswerError as error:
            self._found.failed.append(Failure(self._own_name(name), str(error)))
            return None
        stat = self._target.stat(name)
        if stat is None or stat.size != len(data) or self._target.read(name) != data:
            self.preserve(name)
            stat = self._target.write(name, data)
            self._found.new.add(name)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return Entry(self._own_name(name), name, len(data), md5, stat.stamp)

    def preserve(self, name: str) -> None:
        """Keep a copy of a file that is about to be replaced, if no download has written it."""
        stat = self._target.stat(name)
        ours = [*self._before.entries(), *self._before.other] if self._before else []
        if stat is None or any(entry.path == name and entry.stamp == stat.stamp for entry in ours):
            return
        if copy := records.preserve(self._target, name):
            self._found.preserved.append(copy)

    def _own_name(self, name: str) -> str:
        """Return the name of a file that the download makes; a file of the run may have it as well."""
        return f"{name} (generated by the download)" if name in self._names else name


def reason_of(error: DownloadError, what: str) -> str:
    """Return the text of an error without its prefix, which is shown next to it."""
    return str(error).removeprefix(f"{what}: ")
