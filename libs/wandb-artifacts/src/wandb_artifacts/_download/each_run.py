"""The download of many runs, each to a folder named by its id, while the next ones are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import for_each_arriving
from wandb_artifacts._destination.safe_names import SafeFolders
from wandb_artifacts._download.manifest import MANIFEST
from wandb_artifacts._download.own_files import FATAL, RESERVED
from wandb_artifacts._download.results import Failure
from wandb_artifacts._download.run import RunJob
from wandb_artifacts._errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable

    from wandb_artifacts._client.api import RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.own_files import Work
    from wandb_artifacts._download.results import RunDownload


class EachRun:
    """The download of runs as they are listed. Of a run that is done, only what `store` returns stays in memory.

    Args:
        work: The call.
        target: The folder for the folders of the runs.
        taken: Folders of an earlier call.
        store: Called with each run, its folder and its result, which may have missing files; returns the result to
            keep.
        reserved: Names that are not available for folders.
    """

    def __init__(
        self,
        work: Work,
        target: Target,
        *,
        taken: Collection[str],
        store: Callable[[RemoteRun, str, RunDownload], Awaitable[RunDownload]] | None = None,
        reserved: Collection[str] = (),
    ) -> None:
        self._work = work
        self._target = target
        self._store = store
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
        await for_each_arriving(self._new(pages), self._one, workers=self._work.options.jobs)

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

    async def _new(self, pages: AsyncIterator[list[RemoteRun]]) -> AsyncIterator[tuple[RemoteRun, str]]:
        async for page in pages:
            for run in page:
                # A run that is deleted between two pages can move another one to both.
                if run.ref.id not in self._results:
                    self._results[run.ref.id] = None
                    folder = self._names.folder(run.ref.id)
                    self.folders.append(folder)
                    yield run, folder

    async def _one(self, listed: tuple[RemoteRun, str]) -> None:
        (run, folder), result, reason = listed, None, ""
        try:
            result = await RunJob(self._work, run, self._target.within(folder))()
        except FATAL:
            raise
        except DownloadError as error:
            reason = str(error)
        if (result is None or result.failed) and not await self._work.api.has_run(run.ref):
            self.failed.append(Failure(run.ref.id, "was deleted at W&B during the download"))
        elif result is None:
            self.failed.append(Failure(run.ref.id, reason))
        else:
            self._results[run.ref.id] = await self._store(run, folder, result) if self._store else result


def still_there(target: Target, folders: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of runs that an earlier download left in the target."""
    return tuple(sorted(folder for folder in folders if target.within(folder).stat(MANIFEST)))
