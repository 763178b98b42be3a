"""Downloads to folders of this machine, by default in the temporary folder that all users share."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import for_each, syncify, to_thread
from wandb_artifacts._client.api import Api
from wandb_artifacts._destination.errors import explained, refusal
from wandb_artifacts._destination.no_follow import open_folder
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._destination.safe_names import safe_path, safe_paths
from wandb_artifacts._download.api import download_artifact, download_run
from wandb_artifacts._download.options import DEFAULT_JOBS
from wandb_artifacts._download.results import Failure, IncompleteDownloadError, RunDownload, SweepDownload
from wandb_artifacts._errors import AuthenticationError, DestinationError, DownloadError

if TYPE_CHECKING:
    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._download.results import ArtifactDownload
    from wandb_artifacts._refs import RunRef, SweepRef

_RUNS = "wandb_runs"
_ARTIFACTS = "wandb_artifacts"
_RUNS_AT_ONCE = 4
_OPEN_TO_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def private_folder(*names: str, base: str = _RUNS) -> Path:
    """Make a folder below `wandb_runs` in the system's temporary folder that no other user can write.

    The name is `wandb_runs-<uid>` if another user has taken `wandb_runs`, or if it is a link.

    Args:
        *names: The path below it; safe names, such as the id of a run.
        base: Its name in the temporary folder.

    Returns:
        The folder.

    Raises:
        DestinationError: Another user has taken both names.
    """
    top = Path(tempfile.gettempdir())
    own = f"{base}-{os.getuid()}" if hasattr(os, "getuid") else f"{base}-{os.environ.get('USERNAME', 'user')}"
    for name in (base, own):
        if _is_ours(top / name):
            folder = top.joinpath(name, *names)
            with explained(f"make the folder {folder}"), open_folder(top / name, names, make=True):
                return folder
    doing, reason = f"use {top / base} or {top / own}", "another user could change them"
    raise refusal(doing, f"{reason}; remove them, set TMPDIR to a private folder, or pass a destination")


def _is_ours(folder: Path) -> bool:
    """Make a folder, or check the existing one. In a folder with the sticky bit, no other user can replace it."""
    with explained(f"make the folder {folder}"):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & _OPEN_TO_OTHERS)


@syncify
async def download_run_to_folder(
    run: RunRef, path: str | os.PathLike[str] | None = None, *, include_history: bool = True
) -> RunDownload:
    """Download a run to a folder of this machine.

    Args:
        run: The run.
        path: The folder, or an fsspec URL; None for a folder named by the id in the user's private default folder.
        include_history: Whether to store all logged rows.

    Returns:
        The run as it is there now.

    Raises:
        DownloadError: See `download_run`.
    """
    if path is None:
        path = await to_thread(private_folder, safe_paths([run.id])[run.id])
    return await download_run.aio(run, path, include_history=include_history)


@syncify
async def download_artifact_to_folder(
    artifact: ArtifactRef, path: str | os.PathLike[str] | None = None
) -> ArtifactDownload:
    """Download a version of an artifact to a folder of this machine.

    Args:
        artifact: The artifact.
        path: The folder, or an fsspec URL; None for a folder named by the reference in the user's private default
            folder, so that it should name a version rather than an alias.

    Returns:
        The version as it is there now.

    Raises:
        DownloadError: See `download_artifact`.
    """
    if path is None:
        parts = (artifact.entity, artifact.project, artifact.name, artifact.alias)
        names = [safe_path(part) for part in parts]
        path = await to_thread(private_folder, *names, base=_ARTIFACTS)
    return await download_artifact.aio(artifact, path)


@syncify
async def download_sweep_to_folders(
    sweep: SweepRef, base_path: str | os.PathLike[str] | None = None, *, include_history: bool = True
) -> SweepDownload:
    """Download all runs of a sweep, each to a separate folder that other calls may use as well.

    Unlike `download_sweep` it neither reads nor writes anything next to these folders.

    Args:
        sweep: The sweep.
        base_path: The folder for the folders of the runs, or an fsspec URL; None for the user's private default folder.
        include_history: Whether to store all logged rows.

    Returns:
        The runs as they are there now.

    Raises:
        DownloadError: See `download_sweep`.
    """
    if base_path is not None:
        # An invalid destination fails before any request.
        await to_thread(open_target, base_path, {})
    async with await Api.open(sweep.host, jobs=1) as api:
        state = await api.sweep_state(sweep)
        refs = [run.ref async for _, page in api.runs(sweep) for run in page]
    folders = safe_paths([ref.id for ref in refs])
    found: dict[str, RunDownload] = {}
    failed: list[Failure] = []

    async def one(ref: RunRef) -> None:
        if base_path is None:
            path = str(await to_thread(private_folder, folders[ref.id]))
        else:
            top = os.fspath(base_path)
            path = f"{top}{'' if top.endswith('/') else '/'}{folders[ref.id]}"
        jobs = DEFAULT_JOBS // _RUNS_AT_ONCE
        try:
            found[ref.id] = await download_run.aio(ref, path, include_history=include_history, jobs=jobs)
        except (AuthenticationError, DestinationError):
            raise
        except DownloadError as error:
            partial = error.result if isinstance(error, IncompleteDownloadError) else None
            if isinstance(partial, RunDownload):
                found[ref.id] = partial
            else:
                failed.append(Failure(ref.id, str(error)))

    await for_each(refs, one, workers=_RUNS_AT_ONCE)
    runs = tuple(found[ref.id] for ref in refs if ref.id in found)
    base = str(await to_thread(private_folder) if base_path is None else base_path)
    result = SweepDownload(sweep=sweep, destination=base, sweep_state=state, runs=runs, failed=tuple(failed))
    if failed or any(run.failed for run in runs):
        raise IncompleteDownloadError(result)
    return result
