"""Default destinations, in the folder of temporary files that all users of a machine share."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import Twin, for_each, to_thread
from wandb_artifacts._client.api import Api
from wandb_artifacts._destination.errors import explained, refusal
from wandb_artifacts._destination.no_follow import open_folder
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download.api import download_run
from wandb_artifacts._download.options import DEFAULT_JOBS
from wandb_artifacts._download.results import Failure, IncompleteDownloadError, RunDownload, SweepDownload
from wandb_artifacts._errors import AuthenticationError, DestinationError, DownloadError

if TYPE_CHECKING:
    from wandb_artifacts._refs import RunRef, SweepRef

_NAME = "wandb_runs"
_RUNS_AT_ONCE = 4
_OPEN_TO_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def private_folder(*names: str) -> Path:
    """A folder below `wandb_runs` in the system's temporary folder, which nobody else can write.

    Where that name is taken by another user, or is a link, it is `wandb_runs-<uid>`.

    Args:
        *names: The way from there; safe names, such as that of a run.

    Returns:
        The folder, which exists.

    Raises:
        DestinationError: Another user has taken both names.
    """
    top = Path(tempfile.gettempdir())
    own = f"{_NAME}-{os.getuid()}" if hasattr(os, "getuid") else f"{_NAME}-{os.environ.get('USERNAME', 'user')}"
    for name in (_NAME, own):
        if _is_ours(top / name):
            folder = top.joinpath(name, *names)
            with explained(f"make the folder {folder}"), open_folder(top / name, names, make=True):
                return folder
    doing, reason = f"use {top / _NAME} or {top / own}", "another user could change them"
    raise refusal(doing, f"{reason}; remove them, set TMPDIR to a folder of your own, or name a destination")


def _is_ours(folder: Path) -> bool:
    """Makes a folder, or looks at the one that is there. In a folder with the sticky bit nobody else can replace it."""
    with explained(f"make the folder {folder}"):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & _OPEN_TO_OTHERS)


@Twin
async def download_run_to_folder(
    run: RunRef, path: str | os.PathLike[str] | None = None, *, include_history: bool = True
) -> RunDownload:
    """Downloads a run to a folder of this machine.

    Args:
        run: The run.
        path: The folder, or an fsspec URL; None for one that is named by the id, in the user's own default folder.
        include_history: Whether to store all logged rows.

    Returns:
        What is there now.

    Raises:
        DownloadError: As of `download_run`.
    """
    if path is None:
        path = await to_thread(private_folder, safe_paths([run.id])[run.id])
    return await download_run.aio(run, path, include_history=include_history)


@Twin
async def download_sweep_to_folders(
    sweep: SweepRef, base_path: str | os.PathLike[str] | None = None, *, include_history: bool = True
) -> SweepDownload:
    """Downloads all runs of a sweep, each to a folder of its own that other calls may use, too.

    Unlike `download_sweep` it takes no notice of what else is beside these folders, nor leaves anything there.

    Args:
        sweep: The sweep.
        base_path: The folder for those of the runs, or an fsspec URL; None for the user's own default folder.
        include_history: Whether to store all logged rows.

    Returns:
        What is there now, run by run.

    Raises:
        DownloadError: As of `download_sweep`.
    """
    if base_path is not None:
        # Refused, if it is to be, before anything is asked.
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
