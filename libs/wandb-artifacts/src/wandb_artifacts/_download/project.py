"""The download of the runs of a project, and the dry run that counts them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import for_each_arriving, started, to_thread
from wandb_artifacts._client.http import RequestRefusedError
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download import records
from wandb_artifacts._download.each_run import EachRun, still_there
from wandb_artifacts._download.index import LINES, PARQUET, Index, index_file
from wandb_artifacts._download.manifest import MANIFEST, ProjectManifest
from wandb_artifacts._download.own_files import FATAL
from wandb_artifacts._download.results import Failure, IncompleteDownloadError, RunDownload, RunsDownload
from wandb_artifacts._errors import DownloadError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.options import Options
    from wandb_artifacts._download.own_files import Work
    from wandb_artifacts._download.selection import Selection
    from wandb_artifacts._project_refs import ProjectRef


async def list_runs(
    api: Api, ref: ProjectRef, selection: Selection, *, outlines: bool
) -> AsyncIterator[list[RemoteRun]]:
    """Request the first page of runs, and return all pages.

    Args:
        api: The session.
        ref: The project.
        selection: The runs.
        outlines: Whether most of them are expected to be unchanged; see `RemoteRun.is_outline`.

    Raises:
        InvalidValueError: W&B refuses the filters.
        NotFoundError: W&B has no such project.
    """
    pages = api.project_runs(ref, selection.filters, limit=selection.limit, outlines=outlines)
    try:
        return await started(pages)
    except RequestRefusedError as error:
        if not selection.given:
            raise
        raise InvalidValueError(field="filters", value=selection.given, reason=str(error)) from None


async def count_runs(
    api: Api, ref: ProjectRef, pages: AsyncIterator[list[RemoteRun]], target: Target, options: Options
) -> RunsDownload:
    """Count runs, and their files at W&B."""
    count, files, size, failed = 0, 0, 0, list[Failure]()

    async def runs() -> AsyncGenerator[RemoteRun, None]:
        async for page in pages:
            for run in page:
                yield run

    async def one(run: RemoteRun) -> None:
        nonlocal count, files, size
        count += 1
        try:
            wanted = [file for file in await api.files(run) if options.wants(file.name)]
        except FATAL:
            raise
        except DownloadError as error:
            failed.append(Failure(run.ref.id, str(error)))
            return
        files += len(wanted)
        size += sum(file.size or 0 for file in wanted)

    await for_each_arriving(runs(), one, workers=options.jobs)
    result = RunsDownload(ref, target.url, count, files, size, failed=tuple(failed), dry_run=True)
    if failed:
        raise IncompleteDownloadError(result)
    return result


class ProjectJob:
    """The download of the runs of a project to one folder."""

    def __init__(self, work: Work, ref: ProjectRef, target: Target) -> None:
        self._work = work
        self._ref = ref
        self._target = target
        self._result = RunsDownload(ref, target.url, 0, 0, 0)
        self._index_name = index_file(work.options.history_format)

    async def __call__(self, pages: AsyncIterator[list[RemoteRun]]) -> RunsDownload:
        """Bring the folder up to date.

        Raises:
            IncompleteDownloadError: Files are missing.
            DownloadError: An error that affects all runs, such as a rejected key.
        """
        before = await to_thread(self._begin)
        with closing(await to_thread(Index)) as index:
            each = EachRun(
                self._work,
                self._target,
                taken=before.folders,
                reserved=(LINES, PARQUET),
                record=index.add,
                keep=self._add,
            )
            await each(pages)
            await to_thread(self._conclude, before, each, index)
        if not each.is_complete:
            raise IncompleteDownloadError(self._result)
        return self._result

    def _begin(self) -> ProjectManifest:
        """Mark the folder as this project's, and as incomplete."""
        found = manifests.load_project(self._target)
        if found is None:
            self._preserve(MANIFEST)
            found = ProjectManifest(str(self._ref), self._ref.url, False, _now(), True, ())
        manifests.mark_incomplete(self._target, found)
        return found

    def _add(self, result: RunDownload) -> RunDownload:
        new = [file.size for file in result.files if file.state == "new"]
        self._result = replace(
            self._result,
            files=self._result.files + len(result.files),
            bytes=self._result.bytes + sum(file.size for file in result.files),
            new_files=self._result.new_files + len(new),
            new_bytes=self._result.new_bytes + sum(new),
        )
        return replace(result, files=())

    def _conclude(self, before: ProjectManifest, each: EachRun, index: Index) -> None:
        known = [entry for entry in (before.index, before.other_index) if entry]
        stat = self._target.stat(self._index_name)
        if stat and not any((entry.path, entry.stamp) == (self._index_name, stat.stamp) for entry in known):
            self._preserve(self._index_name)
        runs, form = each.runs, self._work.options.history_format
        entry = index.write(self._target, form, [run.run.id for run in runs], known)
        self._result = replace(
            self._result,
            matched=each.count,
            runs=runs,
            failed=tuple(each.failed),
            stale=still_there(self._target, set(before.folders).difference(each.folders)),
            index_path=entry.path,
        )
        manifest = ProjectManifest(
            project=str(self._ref),
            url=self._ref.url,
            is_live=self._result.is_live,
            downloaded_at=_now(),
            is_complete=each.is_complete,
            folders=(*each.folders, *self._result.stale),
            index=entry,
            other_index=next((each for each in known if each.path != entry.path), None),
        )
        manifests.store(self._target, manifest)

    def _preserve(self, name: str) -> None:
        if copy := records.preserve(self._target, name):
            self._result = replace(self._result, preserved=(*self._result.preserved, copy))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
