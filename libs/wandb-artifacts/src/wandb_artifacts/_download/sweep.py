"""The download of a sweep: each run to a folder named by its id."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.each_run import EachRun, still_there
from wandb_artifacts._download.manifest import SweepManifest
from wandb_artifacts._download.results import IncompleteDownloadError, SweepDownload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.own_files import Work
    from wandb_artifacts._refs import SweepRef


async def download_runs_of(
    work: Work, ref: SweepRef, target: Target, pages: AsyncIterator[tuple[str, list[RemoteRun]]]
) -> SweepDownload:
    """Download all runs of a sweep.

    Args:
        work: The call.
        ref: The sweep.
        target: The folder for the folders of the runs.
        pages: The runs, and with each page the state of the sweep.

    Raises:
        IncompleteDownloadError: Files are missing.
        DownloadError: An error that affects all runs, such as a rejected key.
    """
    before, state = await to_thread(manifests.load_sweep, target), ""
    await to_thread(manifests.mark_incomplete, target, before)

    async def runs() -> AsyncIterator[list[RemoteRun]]:
        nonlocal state
        async for found, page in pages:
            state = found
            yield page

    known = {*before.folders, *before.stale} if before else set[str]()
    each = EachRun(work, target, taken=known)
    await each(runs())
    result = SweepDownload(
        sweep=ref,
        destination=target.url,
        sweep_state=state,
        runs=each.runs,
        stale=await to_thread(still_there, target, known.difference(each.folders)),
        failed=tuple(each.failed),
    )
    manifest = SweepManifest(
        sweep=str(ref),
        url=ref.url,
        sweep_state=state,
        is_live=result.is_live,
        downloaded_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        is_complete=each.is_complete,
        folders=tuple(each.folders),
        stale=result.stale,
    )
    await to_thread(manifests.store, target, manifest)
    if not each.is_complete:
        raise IncompleteDownloadError(result)
    return result
