"""The download of a sweep: each run to a folder named by its id."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import for_each, to_thread
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.manifest import SweepManifest
from wandb_artifacts._download.own_files import RESERVED, Work
from wandb_artifacts._download.results import Failure, IncompleteDownloadError, SweepDownload
from wandb_artifacts._download.run import RunJob
from wandb_artifacts._errors import AuthenticationError, DestinationError, DownloadError

if TYPE_CHECKING:
    from wandb_artifacts._client.api import RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.results import RunDownload
    from wandb_artifacts._refs import SweepRef


async def download_runs_of(work: Work, ref: SweepRef, target: Target) -> SweepDownload:
    state, runs = "", list["RemoteRun"]()
    async for state, page in work.api.runs(ref):  # noqa: B007
        runs += page
    runs = list({run.ref.id: run for run in runs}.values())
    before = await to_thread(manifests.load_sweep, target)
    await to_thread(manifests.mark_incomplete, target, before)
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
        stale=await to_thread(_stale_folders, target, before, set(folders.values())),
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
    await to_thread(manifests.store, target, manifest)
    if not is_complete:
        raise IncompleteDownloadError(result)
    return result


def _stale_folders(target: Target, before: SweepManifest | None, folders: set[str]) -> tuple[str, ...]:
    """Return folders of an earlier download that are still there, although their runs have left the sweep."""
    known = {*before.folders, *before.stale} if before else set()
    return tuple(sorted(folder for folder in known - folders if target.within(folder).stat(manifests.MANIFEST)))
