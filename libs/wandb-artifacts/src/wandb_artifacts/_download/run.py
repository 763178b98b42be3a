"""The download of one run, step by step."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeVar

from wandb_artifacts._asyncio import for_each, run_all, to_thread
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.chunks import read_digests
from wandb_artifacts._download.holders import check_holder
from wandb_artifacts._download.manifest import MANIFEST, Entry, RunManifest
from wandb_artifacts._download.own_files import FATAL, RESERVED, Found, OwnFiles, Work, reason_of
from wandb_artifacts._download.results import LIVE_STATES, DownloadedFile, Failure, IncompleteDownloadError, RunDownload
from wandb_artifacts._download.sources import file_of_run
from wandb_artifacts._download.transfer import Transfer
from wandb_artifacts._download.unchanged import find_unchanged, fingerprint
from wandb_artifacts._errors import DownloadError

if TYPE_CHECKING:
    from wandb_artifacts._client.remote import RemoteFile, RemoteRun
    from wandb_artifacts._destination.base import Target

E = TypeVar("E", bound=Entry)

_READERS = 8
"""How many files of the destination are checked or read at once."""
_FILES_PER_CHECK = 32
"""How many files one thread checks in a row."""


class RunJob:
    """The download of one run to one folder."""

    def __init__(self, work: Work, run: RemoteRun, target: Target) -> None:
        self._work = work
        self._run = run
        self._target = target
        self._before: RunManifest | None = None
        self._found = Found([], [], set(), [])
        self._listed: set[str] = set()
        self._known: dict[str, Entry] = {}

    async def __call__(self) -> RunDownload:
        """Bring the folder up to date.

        Returns:
            The run as it is there now, with a list of missing files.

        Raises:
            DownloadError: An error that affects all files, such as a rejected key.
        """
        if unchanged := await to_thread(self.find_unchanged):
            self.report_unchanged(unchanged)
            return unchanged
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

        batches = (files[at : at + _FILES_PER_CHECK] for at in range(0, len(files), _FILES_PER_CHECK))
        await for_each(batches, sort, workers=_READERS)
        await for_each(doubtful, compare, workers=_READERS)
        own = OwnFiles(self._work, self._run, self._target, self._before, self._found, paths)
        if self._before is None:
            await to_thread(own.preserve, MANIFEST)
        kept = await to_thread(own.history_kept)
        self._report_kept()
        if missing or (self._work.options.include_history and not kept):
            await to_thread(manifests.mark_incomplete, self._target, self._before)
        self._work.tracker.expect(len(missing), sum(file.size or 0 for file in missing))
        await run_all(
            for_each(missing, lambda file: self._fetch(file, paths[file.name]), workers=self._work.options.jobs),
            own.history(kept),
            own.console(),
        )
        return await to_thread(self._conclude, own)

    def report_unchanged(self, result: RunDownload) -> None:
        """Report the progress of a run that `find_unchanged` has found."""
        self._report_kept()
        if result.history_path:
            self._work.tracker.expect(1, 0)
            self._work.tracker.follow(self._run.ref, result.history_path, None).end("kept")

    def find_unchanged(self) -> RunDownload | None:
        """Return the result of an earlier call if nothing has changed since. Blocks, and sends no request."""
        before = manifests.load_run(self._target)
        found = find_unchanged(self._run, self._work, self._target, before)
        if found is None or before is None:
            return None
        self._found = found
        return self._result(tuple(sorted(self._target.stats(before.stale))))

    def _prepare(self) -> RunManifest | None:
        self._target.prepare()
        found = check_holder(self._target, self._run.ref)
        before = found if isinstance(found, RunManifest) else None
        if before and before.url != self._run.ref.url:
            # The folder belongs to another run: its files are stale unless this run has the same ones.
            left = {*before.stale, *(entry.path for entry in before.entries())}
            other, stale = tuple(before.entries()), tuple(sorted(left))
            before = replace(before, files=(), summary=None, history=None, made=(), stale=stale, other=other)
        self._known = {entry.path: entry for entry in before.files} if before else {}
        return before

    def _sort(self, files: Collection[RemoteFile], paths: dict[str, str]) -> tuple[list[RemoteFile], list[RemoteFile]]:
        """Return the files to fetch, and those to read first; the others are there or were not requested."""
        missing, doubtful = list["RemoteFile"](), list["RemoteFile"]()
        stats = self._target.stats(paths[file.name] for file in files)
        for file in files:
            path, is_wanted = paths[file.name], self._work.options.wants(file.name)
            stat, entry = stats.get(path), self._known.get(path)
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
            size, digests = await read_digests(self._target.chunks(path))
        except FileNotFoundError:
            return False
        if stat is None or digests.md5 != file.md5:
            return False
        self._found.entries.append(Entry(file.name, path, size, digests.md5.hex(), stat.stamp, file.updated_at))
        return True

    def _report_kept(self) -> None:
        entries = self._found.entries
        self._work.tracker.expect(len(entries), sum(entry.size for entry in entries))
        for entry in entries:
            self._work.tracker.follow(self._run.ref, entry.name, entry.size).end("kept", entry.size)

    async def _fetch(self, file: RemoteFile, path: str) -> None:
        follower = self._work.tracker.follow(self._run.ref, file.name, file.size)
        source = file_of_run(self._work.api, self._run.ref, file)
        try:
            arrived = await Transfer(self._work.api, source, self._target, path, follower.received_bytes)()
        except FATAL:
            raise
        except DownloadError as error:
            follower.end("failed")
            reason = reason_of(error, source.what)
            self._found.failed.append(Failure(file.name, reason))
        else:
            entry = Entry(file.name, path, arrived.size, arrived.md5.hex(), arrived.stat.stamp, file.updated_at)
            self._found.add(entry)
            follower.end("done", arrived.size)

    def _conclude(self, own: OwnFiles) -> RunDownload:
        found, run = self._found, self._run
        own.records()
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
            made=_by_path(found.made),
            fingerprint=fingerprint(run, files=self._work.api.files_of_each),
        )
        manifest = replace(manifest, stale=self._stale(manifest))
        manifests.store(self._target, manifest)
        return self._result(manifest.stale)

    def _stale(self, manifest: RunManifest) -> tuple[str, ...]:
        """Return files of an earlier download that are still there, and no longer in the run."""
        if self._before is None:
            return ()
        before = {entry.path for entry in self._before.entries()} | set(self._before.stale)
        left = before - {entry.path for entry in manifest.entries()} - self._listed
        return tuple(sorted(self._target.stats(left)))

    def _result(self, stale: tuple[str, ...]) -> RunDownload:
        found = self._found
        history = found.history if self._work.options.include_history else None
        entries = [*found.entries, *found.made, *(entry for entry in (found.summary, history) if entry)]
        return RunDownload(
            run=self._run.ref,
            destination=self._target.url,
            run_state=self._run.state,
            files=tuple(_file(entry, is_new=entry.path in found.new) for entry in _by_path(entries)),
            history_path=history.path if history else None,
            history_rows=history.rows if history else None,
            stale=stale,
            failed=tuple(sorted(found.failed, key=lambda failure: failure.name)),
            preserved=tuple(sorted(found.preserved)),
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
