"""One call of a download: its session, lock and deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from wandb_artifacts._asyncio import started, to_thread
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.artifacts import ArtifactApi
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._download.artifact import ArtifactJob
from wandb_artifacts._download.holders import check_holder
from wandb_artifacts._download.manifest import ProjectManifest, SweepManifest
from wandb_artifacts._download.other_kinds import existing
from wandb_artifacts._download.own_files import Work
from wandb_artifacts._download.progress import Tracker
from wandb_artifacts._download.project import ProjectJob, count_runs, list_runs
from wandb_artifacts._download.run import RunJob, check_complete
from wandb_artifacts._download.sweep import download_runs_of
from wandb_artifacts._errors import DeadlineError
from wandb_artifacts._history.export import check_format
from wandb_artifacts._refs import DEFAULT_HOST

if TYPE_CHECKING:
    import os

    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._client.retry import Retrier
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.options import Options
    from wandb_artifacts._download.results import (
        ArtifactDownload,
        OnArtifactProgress,
        References,
        RunDownload,
        RunsDownload,
        SweepDownload,
    )
    from wandb_artifacts._download.selection import Selection
    from wandb_artifacts._project_refs import ProjectRef
    from wandb_artifacts._refs import RunRef, SweepRef

R = TypeVar("R")


class Call:
    """One call of a download."""

    def __init__(
        self, destination: str | os.PathLike[str], storage_options: dict[str, object], options: Options
    ) -> None:
        self._destination = destination
        self._storage_options = storage_options
        self._options = options

    async def run(self, ref: RunRef) -> RunDownload:
        async def work(api: Api, target: Target) -> RunDownload:
            at = _with_host(ref, api.host)
            await to_thread(check_holder, target, at)
            run = await existing(api, at, api.run(at))
            async with self._prepared(api, target) as work:
                return check_complete(await RunJob(work, run, target)())

        return await self._within(ref.host, work)

    async def sweep(self, ref: SweepRef) -> SweepDownload:
        async def work(api: Api, target: Target) -> SweepDownload:
            at = _with_host(ref, api.host)
            before = await to_thread(check_holder, target, at)
            outlines = isinstance(before, SweepManifest) and bool(before.folders)
            pages = await existing(api, at, started(api.runs(at, outlines=outlines)))
            async with self._prepared(api, target) as work:
                return await download_runs_of(work, at, target, pages)

        return await self._within(ref.host, work)

    async def project(self, ref: ProjectRef, selection: Selection, *, dry_run: bool) -> RunsDownload:
        async def work(api: Api, target: Target) -> RunsDownload:
            at = _with_host(ref, api.host)
            before = await to_thread(check_holder, target, at)
            outlines = isinstance(before, ProjectManifest) and bool(before.folders) and not dry_run
            pages = await existing(api, at, list_runs(api, at, selection, outlines=outlines))
            if dry_run:
                return await count_runs(api, at, pages, target, self._options)
            async with self._prepared(api, target) as work:
                return await ProjectJob(work, at, target)(pages)

        return await self._within(ref.host, work)

    async def artifact(
        self, ref: ArtifactRef, references: References, progress: OnArtifactProgress | None
    ) -> ArtifactDownload:
        async def work(api: Api, target: Target) -> ArtifactDownload:
            at, artifacts = _with_host(ref, api.host), ArtifactApi(api)
            await to_thread(check_holder, target, at)
            artifact = await existing(api, at, artifacts.artifact(at))
            async with self._prepared(api, target) as common:
                work = replace(common, tracker=Tracker(None, progress))
                return await ArtifactJob(work, artifacts, artifact, target, references)()

        return await self._within(ref.host, work)

    @asynccontextmanager
    async def _prepared(self, api: Api, target: Target) -> AsyncIterator[Work]:
        """Make and lock the destination."""
        async with _locked(target):
            yield Work(api, self._options, Tracker(self._options.progress))
            await to_thread(target.tidy)

    async def _within(self, host: str | None, work: Callable[[Api, Target], Awaitable[R]]) -> R:
        check_format(self._options.history_format)
        retrier: Retrier | None = None

        async def whole() -> R:
            nonlocal retrier
            target = await to_thread(open_target, self._destination, self._storage_options)
            async with await Api.open(host, jobs=self._options.jobs) as api:
                retrier = api.retry
                return await work(api, target)

        try:
            return await asyncio.wait_for(whole(), self._options.deadline)
        except (TimeoutError, asyncio.TimeoutError):
            last = f" (last error: {retrier.last_error})" if retrier and retrier.last_error else ""
            passed = f"deadline={self._options.deadline} seconds have passed{last}"
            msg = f"{passed}; call again to resume, fetched data is kept"
            raise DeadlineError(msg) from None


@asynccontextmanager
async def _locked(target: Target) -> AsyncIterator[None]:
    lock = target.lock()
    await to_thread(target.prepare)
    try:
        # Inside the try block: a cancelled call may still have acquired the lock.
        await to_thread(lock.__enter__)
        yield
    finally:
        await to_thread(lock.__exit__, None, None, None)


def _with_host(ref: R, host: str) -> R:
    return replace(ref, host=None if host == DEFAULT_HOST else host)  # type: ignore[type-var]
