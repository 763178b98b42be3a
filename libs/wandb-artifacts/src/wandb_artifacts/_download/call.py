"""A call from its beginning to its end: session, lock, deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeVar

from wandb_artifacts._download import manifest as _manifest
from wandb_artifacts._asyncio import on_disk
from wandb_artifacts._errors import AuthenticationError, DeadlineError, DestinationError, DownloadError
from wandb_artifacts._history import check_format
from wandb_artifacts._hosts import DEFAULT_HOST
from wandb_artifacts._download.manifest import SweepManifest
from wandb_artifacts._download.results import Failure, IncompleteDownloadError, SweepDownload
from wandb_artifacts._download.run import RESERVED, RunJob, Work, check_complete
from wandb_artifacts._destination import open_target
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download.progress import Tracker
from wandb_artifacts._client.api import Api
from wandb_artifacts._workers import for_each

if TYPE_CHECKING:
    import os

    from wandb_artifacts._download.options import Options
    from wandb_artifacts._refs import RunRef, SweepRef
    from wandb_artifacts._download.results import RunDownload
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._client.api import RemoteRun

R = TypeVar("R")


class Call:
    """What one call of a download was given."""

    def __init__(
        self, destination: str | os.PathLike[str], storage_options: dict[str, object], options: Options
    ) -> None:
        self._destination = destination
        self._storage_options = storage_options
        self._options = options

    async def run(self, ref: RunRef) -> RunDownload:
        async def work(work: Work, target: Target) -> RunDownload:
            run = await work.api.run(_with_host(ref, work.api.host))
            return check_complete(await RunJob(work, run, target)())

        return await self._within(ref.host, work)

    async def sweep(self, ref: SweepRef) -> SweepDownload:
        return await self._within(ref.host, lambda work, target: _sweep(work, _with_host(ref, work.api.host), target))

    async def _within(self, host: str | None, work: Callable[[Work, Target], Awaitable[R]]) -> R:
        check_format(self._options.history_format)
        target = await on_disk(open_target, self._destination, self._storage_options)
        async with await Api.open(host, jobs=self._options.jobs) as api:

            async def locked() -> R:
                lock = target.lock()
                await on_disk(target.prepare)
                try:
                    # Within: cancelled meanwhile, it has been taken nevertheless.
                    await on_disk(lock.__enter__)
                    found = await work(Work(api, self._options, Tracker(self._options.progress)), target)
                    await on_disk(target.tidy)
                    return found
                finally:
                    await on_disk(lock.__exit__, None, None, None)

            return await _bounded(locked(), self._options.deadline, api)


async def _bounded(work: Awaitable[R], deadline: float | None, api: Api) -> R:
    try:
        return await asyncio.wait_for(work, deadline)
    except (TimeoutError, asyncio.TimeoutError):
        trouble = f" (last trouble: {api.repeat.last_trouble})" if api.repeat.last_trouble else ""
        msg = f"deadline={deadline} seconds have passed{trouble}; what arrived is kept, call again to go on"
        raise DeadlineError(msg) from None


def _with_host(ref: R, host: str) -> R:
    return replace(ref, host=None if host == DEFAULT_HOST else host)  # type: ignore[type-var]


async def _sweep(work: Work, ref: SweepRef, target: Target) -> SweepDownload:
    state, runs = "", list["RemoteRun"]()
    async for state, page in work.api.runs(ref):  # noqa: B007
        runs += page
    runs = list({run.ref.id: run for run in runs}.values())
    before = await on_disk(_manifest.load_sweep, target)
    await on_disk(_manifest.take_back, target, before)
    folders = safe_paths([run.ref.id for run in runs], reserved=RESERVED)
    results: dict[str, RunDownload] = {}
    failed: list[Failure] = []

    async def one(run: RemoteRun) -> None:
        try:
            results[run.ref.id] = await RunJob(work, run, target.within(folders[run.ref.id]))()
        except (AuthenticationError, DestinationError):
            raise
        except DownloadError as error:
            failed.append(Failure(run.ref.id, str(error)))

    await for_each(runs, one, workers=work.options.jobs)
    result = SweepDownload(
        sweep=ref,
        destination=target.url,
        sweep_state=state,
        runs=tuple(results[run.ref.id] for run in runs if run.ref.id in results),
        stale=await on_disk(_stale_folders, target, before, set(folders.values())),
        failed=tuple(failed),
    )
    is_complete = not failed and not any(run.failed for run in result.runs)
    manifest = SweepManifest(
        sweep=str(ref),
        url=ref.url,
        sweep_state=state,
        is_live=result.is_live,
        downloaded_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        is_complete=is_complete,
        folders=tuple(folders.values()),
        stale=result.stale,
    )
    await on_disk(_manifest.store, target, manifest)
    if not is_complete:
        raise IncompleteDownloadError(result)
    return result


def _stale_folders(target: Target, before: SweepManifest | None, folders: set[str]) -> tuple[str, ...]:
    """Folders of runs that an earlier download left: still there, and in the sweep no more."""
    known = {*before.folders, *before.stale} if before else set()
    return tuple(sorted(folder for folder in known - folders if target.within(folder).stat(_manifest.MANIFEST)))
