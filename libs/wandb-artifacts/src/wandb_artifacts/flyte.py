"""Downloads for Flyte tasks, as a `flyte.io.Dir` and to folders of a pod.

The only module of this package that imports Flyte; install `wandb-artifacts[flyte]`. `download_run_to_dir(...)` blocks,
`await download_run_to_dir.aio(...)` does not; likewise the other functions.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import syncify, to_thread
from wandb_artifacts._destination.safe_names import WORK_FOLDER, safe_paths
from wandb_artifacts._download.api import download_artifact, download_run, download_sweep
from wandb_artifacts._download.folders import (
    download_artifact_to_folder,
    download_run_to_folder,
    download_sweep_to_folders,
)
from wandb_artifacts._download.manifest import MANIFEST
from wandb_artifacts._download.options import DEFAULT_JOBS, read_artifact, read_ref
from wandb_artifacts._download.wait import run_settled, sweep_settled
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    from flyte.io import Dir

    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._download.results import HistoryFormat, OnArtifactProgress, OnProgress, References

__all__ = [
    "download_artifact_to_dir",
    "download_artifact_to_folder",
    "download_run_to_dir",
    "download_run_to_folder",
    "download_sweep_to_dir",
    "download_sweep_to_folders",
    "wait_for_run",
    "wait_for_sweep",
]


@syncify
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
    """Download a run and store it as a Flyte directory, which contains the requested files and nothing else.

    In Flyte's local mode the directory is a temporary folder, which is not removed.

    Args:
        run: See `download_run`.
        include_history: See `download_run`.
        include: See `download_run`.
        exclude: See `download_run`.
        jobs: See `download_run`.
        deadline: Seconds that the download may take, without the upload.
        progress: See `download_run`.
        history_format: See `download_run`.

    Returns:
        The directory.

    Raises:
        DownloadError: See `download_run`. Nothing is stored then.
    """
    ref = read_ref(RunRef, run)
    async with _temporary(ref.id) as temporary:
        await download_run.aio(
            ref,
            temporary.folder,
            include_history=include_history,
            include=include,
            exclude=exclude,
            jobs=jobs,
            deadline=deadline,
            progress=progress,
            history_format=history_format,
        )
        return await temporary.store([temporary.folder])


@syncify
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
    """Download all runs of a sweep and store them as a Flyte directory, with one folder per run.

    In Flyte's local mode the directory is a temporary folder, which is not removed.

    Args:
        sweep: See `download_sweep`.
        include_history: See `download_sweep`.
        include: See `download_sweep`.
        exclude: See `download_sweep`.
        jobs: See `download_sweep`.
        deadline: Seconds that the download may take, without the upload.
        progress: See `download_sweep`.
        history_format: See `download_sweep`.

    Returns:
        The directory. It contains the runs and nothing else.

    Raises:
        DownloadError: See `download_sweep`. Nothing is stored then.
    """
    ref = read_ref(SweepRef, sweep)
    async with _temporary(ref.id) as temporary:
        found = await download_sweep.aio(
            ref,
            temporary.folder,
            include_history=include_history,
            include=include,
            exclude=exclude,
            jobs=jobs,
            deadline=deadline,
            progress=progress,
            history_format=history_format,
        )
        return await temporary.store([temporary.folder, *(Path(run.destination) for run in found.runs)])


@syncify
async def download_artifact_to_dir(
    artifact: ArtifactRef | str,
    *,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    references: References = "fetch",
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnArtifactProgress | None = None,
) -> Dir:
    """Download a version of an artifact and store it as a Flyte directory, which contains its files and nothing else.

    In Flyte's local mode the directory is a temporary folder, which is not removed.

    Args:
        artifact: See `download_artifact`.
        include: See `download_artifact`.
        exclude: See `download_artifact`.
        references: See `download_artifact`.
        jobs: See `download_artifact`.
        deadline: Seconds that the download may take, without the upload.
        progress: See `download_artifact`.

    Returns:
        The directory.

    Raises:
        DownloadError: See `download_artifact`. Nothing is stored then.
    """
    ref = read_artifact(artifact)
    async with _temporary(ref.name) as temporary:
        await download_artifact.aio(
            ref,
            temporary.folder,
            include=include,
            exclude=exclude,
            references=references,
            jobs=jobs,
            deadline=deadline,
            progress=progress,
        )
        return await temporary.store([temporary.folder])


@syncify
async def wait_for_run(run: RunRef, *, last_step: int = -1, ends: bool = True, timeout: float) -> str | None:
    """Wait until W&B shows all data of a run.

    Args:
        run: The run.
        last_step: The last step that was logged; -1 if it is not known.
        ends: Whether the run has ended or is about to, so that its data must stop changing.
        timeout: Seconds to wait.

    Returns:
        None if W&B has everything; or what it still lacks, as the rest of a sentence that begins with "W&B".

    Raises:
        DownloadError: A request failed, or W&B has no such run.
    """
    return await run_settled(run, last_step=last_step, ends=ends, timeout=timeout)


@syncify
async def wait_for_sweep(sweep: SweepRef, *, timeout: float) -> str | None:
    """Wait until all runs of a sweep have ended, and W&B shows all their data.

    Args:
        sweep: The sweep.
        timeout: Seconds to wait.

    Returns:
        None if W&B has everything; or what it still lacks, as the rest of a sentence that begins with "W&B".

    Raises:
        DownloadError: A request failed, or W&B has no such sweep.
    """
    return await sweep_settled(sweep, timeout=timeout)


class _TemporaryFolder:
    """A private folder."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.is_in_use = False

    async def store(self, folders: Sequence[Path]) -> Dir:
        """Store it as a Flyte directory, without the download's own files in the folders of runs."""
        await to_thread(_remove_traces_of_download, folders)
        dirs = await to_thread(_dir_type)
        stored = await dirs.from_local(self.folder)
        self.is_in_use = Path(stored.path).is_relative_to(self.root)
        return stored


@asynccontextmanager
async def _temporary(name: str) -> AsyncIterator[_TemporaryFolder]:
    """Make a new folder of this name, which is removed afterwards unless Flyte uses it in place."""
    root = Path(await to_thread(tempfile.mkdtemp, prefix="wandb-artifacts-"))
    temporary = _TemporaryFolder(root, root / safe_paths([name])[name])
    try:
        yield temporary
    finally:
        if not temporary.is_in_use:
            await to_thread(shutil.rmtree, root, ignore_errors=True)


def _remove_traces_of_download(folders: Sequence[Path]) -> None:
    for folder in folders:
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)


def _dir_type() -> type[Dir]:
    """Import Flyte's `Dir` on first use, in a thread, because it takes long."""
    from flyte.io import Dir

    return Dir
