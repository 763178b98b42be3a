"""The download of many runs, each to a folder named by its id, while the next ones are listed."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias

from wandb_artifacts._asyncio import ahead, for_each, for_each_arriving, to_thread
from wandb_artifacts._destination.safe_names import SafeFolders
from wandb_artifacts._download.manifest import MANIFEST
from wandb_artifacts._download.own_files import FATAL, RESERVED
from wandb_artifacts._download.results import Failure
from wandb_artifacts._download.run import RunJob
from wandb_artifacts._errors import DownloadError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Iterator

    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.own_files import Work
    from wandb_artifacts._download.results import RunDownload


_Listed: TypeAlias = "tuple[RemoteRun, str]"
"""A run and its folder."""
_CHECKS = 8
"""How many batches of runs are checked at once: a check takes round trips, on a mounted network drive too."""
_RUNS_PER_CHECK = 32


class EachRun:
    """The download of runs as they are listed. Of a run that is done, only what `keep` returns stays in memory.

    Args:
        work: The call.
        target: The folder for the folders of the runs.
        taken: Folders of an earlier call.
        reserved: Names that are not available for folders.
        record: Called in a thread with each run, its folder and its result, which may have missing files.
        keep: Called with each result; returns the one to keep.
    """

    def __init__(
        self,
        work: Work,
        target: Target,
        *,
        taken: Collection[str],
        reserved: Collection[str] = (),
        record: Callable[[RemoteRun, str, RunDownload], None] | None = None,
        keep: Callable[[RunDownload], RunDownload] = lambda result: result,
    ) -> None:
        self._work = work
        self._target = target
        self._record = record
        self._keep = keep
        self._names = SafeFolders(taken, reserved={*RESERVED, *reserved})
        self._results: dict[str, RunDownload | None] = {}
        self.folders: list[str] = []
        """The folders of the listed runs."""
        self.failed: list[Failure] = []
        """Runs that failed as a whole."""

    async def __call__(self, pages: AsyncIterator[list[RemoteRun]]) -> None:
        """Download the runs of all pages.

        Raises:
            DownloadError: An error that affects all runs, such as a rejected key.
        """
        await for_each_arriving(self._changed(pages), self._one, workers=self._work.options.jobs)

    @property
    def runs(self) -> tuple[RunDownload, ...]:
        """The results, in the order of the list."""
        return tuple(result for result in self._results.values() if result)

    @property
    def count(self) -> int:
        """The number of listed runs."""
        return len(self._results)

    @property
    def is_complete(self) -> bool:
        return not self.failed and not any(run.failed for run in self.runs)

    async def _changed(self, pages: AsyncIterator[list[RemoteRun]]) -> AsyncGenerator[_Listed, None]:
        async with aclosing(ahead(pages)) as upcoming:
            async for page in upcoming:
                for each in await self._without_unchanged([*self._new(page)]):
                    yield each

    def _new(self, page: list[RemoteRun]) -> Iterator[_Listed]:
        for run in page:
            # A run that is deleted between two pages can move another one to both.
            if run.ref.id not in self._results:
                self._results[run.ref.id] = None
                folder = self._names.folder(run.ref.id)
                self.folders.append(folder)
                yield run, folder

    async def _without_unchanged(self, page: list[_Listed]) -> list[_Listed]:
        """Conclude the outlines that nothing has to be requested for, many in one thread, and return the others."""
        changed = [(run, folder) for run, folder in page if not run.is_outline]

        async def check(some: list[_Listed]) -> None:
            found = await to_thread(lambda: [self._check(run, folder) for run, folder in some])
            for (run, folder), (job, result) in zip(some, found, strict=True):
                if result is None:
                    changed.append((run, folder))
                else:
                    job.report_unchanged(result)
                    self._results[run.ref.id] = self._keep(result)

        outlines = [(run, folder) for run, folder in page if run.is_outline]
        batches = (outlines[at : at + _RUNS_PER_CHECK] for at in range(0, len(outlines), _RUNS_PER_CHECK))
        await for_each(batches, check, workers=_CHECKS)
        return changed

    def _check(self, run: RemoteRun, folder: str) -> tuple[RunJob, RunDownload | None]:
        job = RunJob(self._work, run, self._target.within(folder))
        result = job.find_unchanged()
        if result and self._record:
            self._record(run, folder, result)
        return job, result

    async def _one(self, listed: _Listed) -> None:
        (run, folder), result, reason = listed, None, ""
        try:
            if run.is_outline:
                run = await self._work.api.run(run.ref)
            result = await RunJob(self._work, run, self._target.within(folder))()
        except FATAL:
            raise
        except (DownloadError, InvalidValueError) as error:
            # Invalid is only a folder that holds another download.
            reason = str(error)
        if (result is None or result.failed) and not await self._work.api.has_run(run.ref):
            self.failed.append(Failure(run.ref.id, "was deleted at W&B during the download"))
        elif result is None:
            self.failed.append(Failure(run.ref.id, reason))
        else:
            if self._record:
                await to_thread(self._record, run, folder, result)
            self._results[run.ref.id] = self._keep(result)


def still_there(target: Target, folders: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of runs that an earlier download left in the target."""
    return tuple(sorted(folder for folder in folders if target.within(folder).stat(MANIFEST)))
