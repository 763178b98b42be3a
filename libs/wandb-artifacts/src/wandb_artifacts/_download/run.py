"""The download of one run, step by step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from wandb_artifacts._asyncio import for_each, run_all, to_thread
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.manifest import MANIFEST, SUMMARY, Entry, HistoryEntry, RunManifest
from wandb_artifacts._download.results import LIVE_STATES, DownloadedFile, Failure, IncompleteDownloadError, RunDownload
from wandb_artifacts._download.transfer import Transfer
from wandb_artifacts._download.verify import read_md5
from wandb_artifacts._errors import AuthenticationError, DestinationError, DownloadError
from wandb_artifacts._history.export import export_history, history_file
from wandb_artifacts._history.scan import HistorySource
from wandb_artifacts._json import dump, to_strict

if TYPE_CHECKING:
    from wandb_artifacts._client.api import Api, RemoteFile, RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.options import Options
    from wandb_artifacts._download.progress import Tracker

E = TypeVar("E", bound=Entry)

HISTORY_FILES = tuple(history_file(name) for name in ("json", "jsonl", "parquet"))
RESERVED = frozenset({MANIFEST, SUMMARY, *HISTORY_FILES})
"""Names of the download's own files; a file of the run with such a name is stored under a marked name."""

_PAGES_AHEAD = 4
_READERS = 8
"""How many files of the destination are checked or read at once."""
_FILES_PER_CHECK = 32
"""How many files one thread checks in a row."""
_FATAL = (AuthenticationError, DestinationError)
"""Errors that every other file would run into as well."""


@dataclass(frozen=True)
class Work:
    """The parts of a call that all runs share."""

    api: Api
    options: Options
    tracker: Tracker


@dataclass
class _Found:
    """The files found so far."""

    entries: list[Entry]
    carried: list[Entry]
    """Valid files that are there but were not requested."""
    new: set[str]
    failed: list[Failure]
    summary: Entry | None = None
    history: HistoryEntry | None = None

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.new.add(entry.path)


class RunJob:
    """The download of one run to one folder."""

    def __init__(self, work: Work, run: RemoteRun, target: Target) -> None:
        self._work = work
        self._run = run
        self._target = target
        self._before: RunManifest | None = None
        self._found = _Found([], [], set(), [])
        self._listed: set[str] = set()
        self._known: dict[str, Entry] = {}

    async def __call__(self) -> RunDownload:
        """Bring the folder up to date.

        Returns:
            The run as it is there now, with a list of missing files.

        Raises:
            DownloadError: An error that affects all files, such as a rejected key.
        """
        self._before = await to_thread(self._prepare)
        files = await self._work.api.files(self._run)
        paths = safe_paths([file.name for file in files], reserved=RESERVED)
        self._listed = set(paths.values())
        missing, doubtful = list["RemoteFile"](), list["RemoteFile"]()

        async def sort(some: list[RemoteFile]) -> None:
            absent, unknown = await to_thread(self._sort, some, paths)
            missing.extend(absent)
            doubtful.extend(unknown)

        async def compare(file: RemoteFile) -> None:
            if not await self._is_there(file, paths[file.name]):
                missing.append(file)

        # Each check takes a round trip if the destination is remote.
        batches = (files[at : at + _FILES_PER_CHECK] for at in range(0, len(files), _FILES_PER_CHECK))
        await for_each(batches, sort, workers=_READERS)
        await for_each(doubtful, compare, workers=_READERS)
        kept = await to_thread(self._history_kept)
        self._report_kept()
        if missing or (self._work.options.include_history and not kept):
            await to_thread(manifests.mark_incomplete, self._target, self._before)
        self._work.tracker.expect(len(missing), sum(file.size or 0 for file in missing))
        await run_all(
            for_each(missing, lambda file: self._fetch(file, paths[file.name]), workers=self._work.options.jobs),
            self._history(kept),
        )
        return await to_thread(self._conclude)

    def _prepare(self) -> RunManifest | None:
        self._target.prepare()
        before = manifests.load_run(self._target)
        if before and before.url != self._run.ref.url:
            # The folder belongs to another run: its files are stale unless this run has the same ones.
            left = {*before.stale, *(entry.path for entry in before.entries())}
            before = replace(before, files=(), summary=None, history=None, stale=tuple(sorted(left)))
        self._known = {entry.path: entry for entry in before.files} if before else {}
        return before

    def _sort(self, files: Iterable[RemoteFile], paths: dict[str, str]) -> tuple[list[RemoteFile], list[RemoteFile]]:
        """Return the files to fetch, and those to read first; the others are there or were not requested."""
        missing, doubtful = list["RemoteFile"](), list["RemoteFile"]()
        for file in files:
            path, is_wanted = paths[file.name], self._work.options.wants(file.name)
            stat, entry = self._target.stat(path), self._known.get(path)
            has_size = stat is not None and file.size in (None, stat.size)
            if entry and stat and has_size and entry.stamp == stat.stamp and _is_same(file, entry):
                (self._found.entries if is_wanted else self._found.carried).append(entry)
            elif is_wanted:
                (doubtful if has_size and file.md5 else missing).append(file)
        return missing, doubtful

    async def _is_there(self, file: RemoteFile, path: str) -> bool:
        """Read a file of the destination, and record it if it equals W&B's."""
        stat = await to_thread(self._target.stat, path)
        try:
            size, md5 = await read_md5(self._target.chunks(path))
        except FileNotFoundError:
            return False
        if stat is None or md5 != file.md5:
            return False
        self._found.entries.append(Entry(file.name, path, size, md5.hex(), stat.stamp, file.updated_at))
        return True

    def _report_kept(self) -> None:
        entries = self._found.entries
        self._work.tracker.expect(len(entries), sum(entry.size for entry in entries))
        for entry in entries:
            self._work.tracker.follow(self._run.ref, entry.name, entry.size).end("kept", entry.size)

    async def _fetch(self, file: RemoteFile, path: str) -> None:
        follower = self._work.tracker.follow(self._run.ref, file.name, file.size)
        try:
            arrived = await Transfer(self._work.api, self._run.ref, file, self._target, path, follower.received_bytes)()
        except _FATAL:
            raise
        except DownloadError as error:
            follower.end("failed")
            self._found.failed.append(Failure(file.name, _reason(error, f"file {file.name!r} of run {self._run.ref}")))
        else:
            entry = Entry(file.name, path, arrived.size, arrived.md5.hex(), arrived.stat.stamp, file.updated_at)
            self._found.add(entry)
            follower.end("done", arrived.size)

    async def _history(self, kept: HistoryEntry | None) -> None:
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
        except _FATAL:
            raise
        except DownloadError as error:
            follower.end("failed")
            self._found.failed.append(Failure(name, _reason(error, f"the history of run {self._run.ref}")))
        else:
            self._found.new.add(name)
            follower.end("done")

    def _history_kept(self) -> HistoryEntry | None:
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
            source = HistorySource(run.last_step, run.line_count, len(run.summary), page)
            rows = await export_history(source, part, form, ahead=_PAGES_AHEAD, on_rows=on_rows)
            size, md5 = part.size, await to_thread(part.md5)
            stat = await to_thread(part.commit)
        finally:
            await to_thread(part.close)
        return HistoryEntry(
            name,
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

    def _conclude(self) -> RunDownload:
        found, run = self._found, self._run
        self._summary()
        manifest = RunManifest(
            run=str(run.ref),
            url=run.ref.url,
            run_state=run.state,
            is_live=run.state in LIVE_STATES,
            downloaded_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            is_complete=not found.failed,
            files=_by_path([*found.entries, *found.carried]),
            summary=found.summary,
            history=found.history,
        )
        manifest = replace(manifest, stale=self._stale(manifest))
        manifests.store(self._target, manifest)
        return self._result(manifest)

    def _summary(self) -> None:
        try:
            data = dump(to_strict(json.loads(self._run.summary)), indent=2) + b"\n"
        except (ValueError, RecursionError):
            self._found.failed.append(Failure(SUMMARY, "W&B returned a summary that is not JSON, or nested too deeply"))
            return
        stat = self._target.stat(SUMMARY)
        if stat is None or stat.size != len(data) or self._target.read(SUMMARY) != data:
            stat = self._target.write(SUMMARY, data)
            self._found.new.add(SUMMARY)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self._found.summary = Entry(SUMMARY, SUMMARY, len(data), md5, stat.stamp)

    def _stale(self, manifest: RunManifest) -> tuple[str, ...]:
        """Return files of an earlier download that are still there, and no longer in the run."""
        if self._before is None:
            return ()
        before = {entry.path for entry in self._before.entries()} | set(self._before.stale)
        left = before - {entry.path for entry in manifest.entries()} - self._listed
        return tuple(sorted(path for path in left if self._target.stat(path)))

    def _result(self, manifest: RunManifest) -> RunDownload:
        found = self._found
        history = found.history if self._work.options.include_history else None
        entries = [*found.entries, *(entry for entry in (found.summary, history) if entry)]
        return RunDownload(
            run=self._run.ref,
            destination=self._target.url,
            run_state=self._run.state,
            files=tuple(_file(entry, is_new=entry.path in found.new) for entry in _by_path(entries)),
            history_path=history.path if history else None,
            history_rows=history.rows if history else None,
            stale=manifest.stale,
            failed=tuple(sorted(found.failed, key=lambda failure: failure.name)),
        )


def check_complete(result: RunDownload) -> RunDownload:
    """Return a complete result.

    Raises:
        IncompleteDownloadError: Files are missing.
    """
    if result.failed:
        raise IncompleteDownloadError(result)
    return result


def _is_same(file: RemoteFile, entry: Entry) -> bool:
    if file.md5 is not None:
        return entry.md5 == file.md5.hex() and file.size in (None, entry.size)
    return file.updated_at is not None and (file.size, file.updated_at) == (entry.size, entry.updated_at)


def _file(entry: Entry, *, is_new: bool) -> DownloadedFile:
    return DownloadedFile(entry.name, entry.path, entry.size, entry.md5, "new" if is_new else "kept")


def _by_path(entries: Iterable[E]) -> tuple[E, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))


def _reason(error: DownloadError, what: str) -> str:
    """Return the text of an error without its prefix, which is shown next to it."""
    return str(error).removeprefix(f"{what}: ")
