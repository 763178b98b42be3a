"""Downloads for Flyte tasks: as a `flyte.io.Dir`, and to folders of a pod.

The one module of this package that imports Flyte; it needs `wandb-artifacts[flyte]`. `download_run_to_dir` and
`download_sweep_to_dir` block; `await download_run_to_dir.aio(...)` does not.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import Twin, to_thread
from wandb_artifacts._client.credentials import trust
from wandb_artifacts._destination.safe_names import WORK_FOLDER, safe_paths
from wandb_artifacts._download.api import download_run, download_sweep
from wandb_artifacts._download.folders import download_run_to_folder, download_sweep_to_folders
from wandb_artifacts._download.manifest import MANIFEST
from wandb_artifacts._download.options import DEFAULT_JOBS, read_ref
from wandb_artifacts._download.wait import run_settled, sweep_settled
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    from flyte.io import Dir

    from wandb_artifacts._download.results import HistoryFormat, OnProgress

__all__ = [
    "download_run_to_dir",
    "download_run_to_folder",
    "download_sweep_to_dir",
    "download_sweep_to_folders",
    "trust_host",
    "wait_for_run",
    "wait_for_sweep",
]


@Twin
async def download_run_to_dir(
    run: RunRef | str,
    *,
    include_history: bool = True,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnProgress | None = None,
    history_format: HistoryFormat = "json",
) -> Dir:
    """Downloads a run and stores it as a directory of Flyte's, which holds what was asked for and nothing else.

    In Flyte's local mode the directory is a temporary folder that stays.

    Args:
        run: As of `download_run`.
        include_history: As of `download_run`.
        include: As of `download_run`.
        exclude: As of `download_run`.
        jobs: As of `download_run`.
        deadline: Seconds that the download may take in all, the upload aside.
        progress: As of `download_run`.
        history_format: As of `download_run`.

    Returns:
        The directory.

    Raises:
        DownloadError: As of `download_run`. Nothing is stored then.
    """
    ref = read_ref(RunRef, run)
    async with _temporary(ref.id) as place:
        await download_run.aio(
            ref,
            place.folder,
            include_history=include_history,
            include=include,
            exclude=exclude,
            jobs=jobs,
            deadline=deadline,
            progress=progress,
            history_format=history_format,
        )
        return await place.store([place.folder])


@Twin
async def download_sweep_to_dir(
    sweep: SweepRef | str,
    *,
    include_history: bool = True,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnProgress | None = None,
    history_format: HistoryFormat = "json",
) -> Dir:
    """Downloads all runs of a sweep and stores them as a directory of Flyte's, with one folder a run.

    In Flyte's local mode the directory is a temporary folder that stays.

    Args:
        sweep: As of `download_sweep`.
        include_history: As of `download_sweep`.
        include: As of `download_sweep`.
        exclude: As of `download_sweep`.
        jobs: As of `download_sweep`.
        deadline: Seconds that the download may take in all, the upload aside.
        progress: As of `download_sweep`.
        history_format: As of `download_sweep`.

    Returns:
        The directory. It holds the runs and nothing else.

    Raises:
        DownloadError: As of `download_sweep`. Nothing is stored then.
    """
    ref = read_ref(SweepRef, sweep)
    async with _temporary(ref.id) as place:
        found = await download_sweep.aio(
            ref,
            place.folder,
            include_history=include_history,
            include=include,
            exclude=exclude,
            jobs=jobs,
            deadline=deadline,
            progress=progress,
            history_format=history_format,
        )
        return await place.store([place.folder, *(Path(run.destination) for run in found.runs)])


@Twin
async def wait_for_run(run: RunRef, *, last_step: int = -1, ends: bool = True, timeout: float) -> str | None:
    """Waits until W&B shows all of a run that it was sent.

    Args:
        run: The run.
        last_step: The last step that is known to have been logged; -1 where that is not known.
        ends: Whether the run is over, or about to be, so that nothing of it is to change any more.
        timeout: Seconds to wait at most.

    Returns:
        None where W&B has all; or what it still lacks, to follow "W&B" in a message.

    Raises:
        DownloadError: W&B cannot be asked, or does not know of the run.
    """
    return await run_settled(run, last_step=last_step, ends=ends, timeout=timeout)


@Twin
async def wait_for_sweep(sweep: SweepRef, *, timeout: float) -> str | None:
    """Waits until W&B shows all that it was sent of a sweep's runs, and all have ended.

    Args:
        sweep: The sweep.
        timeout: Seconds to wait at most.

    Returns:
        None where W&B has all; or what it still lacks, to follow "W&B" in a message.

    Raises:
        DownloadError: W&B cannot be asked, or does not know of the sweep.
    """
    return await sweep_settled(sweep, timeout=timeout)


def trust_host(host: str) -> None:
    """Lets `WANDB_API_KEY` be sent to a server that is not the one of `WANDB_BASE_URL`.

    Args:
        host: The API address of a server that the user's own code or configuration names, not one that was received.
    """
    trust(host)


class _Place:
    """A folder that is nobody else's."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.is_in_use = False

    async def store(self, folders: Sequence[Path]) -> Dir:
        """Makes a directory of Flyte's of it, without what the download itself has left in the folders of runs."""
        await to_thread(_remove_traces_of_download, folders)
        dirs = await to_thread(_dir_type)
        stored = await dirs.from_local(self.folder)
        self.is_in_use = Path(stored.path).is_relative_to(self.root)
        return stored


@asynccontextmanager
async def _temporary(name: str) -> AsyncIterator[_Place]:
    """A new folder of this name, gone afterwards unless Flyte took it as it is."""
    root = Path(await to_thread(tempfile.mkdtemp, prefix="wandb-artifacts-"))
    place = _Place(root, root / safe_paths([name])[name])
    try:
        yield place
    finally:
        if not place.is_in_use:
            await to_thread(shutil.rmtree, root, ignore_errors=True)


def _remove_traces_of_download(folders: Sequence[Path]) -> None:
    for folder in folders:
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)


def _dir_type() -> type[Dir]:
    """Imported on first use, beside the loop: it takes long."""
    from flyte.io import Dir

    return Dir
