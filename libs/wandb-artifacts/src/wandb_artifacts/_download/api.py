"""The public functions of downloads, with all their options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import syncify
from wandb_artifacts._download.call import Call
from wandb_artifacts._download.options import DEFAULT_JOBS, check_storage_options, make_options, read_ref
from wandb_artifacts._refs import RunRef, SdkObject, SweepRef

if TYPE_CHECKING:
    from wandb_artifacts._download.results import HistoryFormat, OnProgress, RunDownload, SweepDownload


@syncify
async def download_run(
    run: RunRef | str | Sequence[str] | SdkObject,
    destination: str | os.PathLike[str],
    *,
    include_history: bool = True,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnProgress | None = None,
    history_format: HistoryFormat = "json",
    storage_options: Mapping[str, object] | None = None,
) -> RunDownload:
    """Download a run: its files, its summary and its full history. Each file is verified and written atomically.

    Files that are already at the destination are not fetched again. After an interruption, the next call resumes.
    `download_run(...)` blocks; `await download_run.aio(...)` does not.

    Args:
        run: The run: a `RunRef`, `entity/project/id`, the URL of its page, or a run of the wandb SDK (or its `path`).
            `WANDB_ENTITY` and `WANDB_PROJECT` are the defaults for missing parts.
        destination: The folder of the run: a path, or an fsspec URL such as `s3://bucket/path`, `gs://...`,
            `memory://...`.
        include_history: Whether to store all logged rows.
        include: Patterns (`fnmatch`; `*` also matches `/`) of the files to fetch, by their names at W&B; None for all.
            The summary is always stored.
        exclude: Patterns of files to skip, even if `include` matches them.
        jobs: The number of connections, 1 to 128.
        deadline: Seconds that the whole call may take; None for no limit. Each single request has its own timeout.
        progress: Called with a `Progress` when bytes arrive and files are complete.
        history_format: `json` (an array of objects), `jsonl` (one row per line) or `parquet` (needs
            `wandb-artifacts[parquet]`).
        storage_options: fsspec options for the destination, such as credentials of an object store.

    Returns:
        The run as it is at the destination now.

    Raises:
        InvalidValueError: An argument is invalid; no work was started.
        AuthenticationError: No API key was found, or W&B rejected it.
        AccessDeniedError: The API key has no access.
        NotFoundError: W&B has no such run.
        ServerUnavailableError: W&B is unreachable.
        ServerAnswerError: W&B returned an invalid response, or refused the request.
        IncompleteDownloadError: Files are missing; its `result` lists what is there and what is not.
        DeadlineError: The deadline has passed.
        DestinationError: The destination is not writable.
    """
    options = make_options(
        include_history=include_history,
        history_format=history_format,
        include=include,
        exclude=exclude,
        jobs=jobs,
        deadline=deadline,
        progress=progress,
    )
    call = Call(destination, check_storage_options(storage_options), options)
    return await call.run(read_ref(RunRef, run))


@syncify
async def download_sweep(
    sweep: SweepRef | str | Sequence[str] | SdkObject,
    destination: str | os.PathLike[str],
    *,
    include_history: bool = True,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnProgress | None = None,
    history_format: HistoryFormat = "json",
    storage_options: Mapping[str, object] | None = None,
) -> SweepDownload:
    """Download all runs of a sweep, each like `download_run`, to a folder that is named by its id.

    `download_sweep(...)` blocks; `await download_sweep.aio(...)` does not.

    Args:
        sweep: The sweep: a `SweepRef`, `entity/project/id`, the URL of its page, or a sweep of the wandb SDK (or its
            `path`). `WANDB_ENTITY` and `WANDB_PROJECT` are the defaults for missing parts.
        destination: The folder for the folders of the runs: a path, or an fsspec URL such as `s3://bucket/path`,
            `gs://...`, `memory://...`.
        include_history: Whether to store all logged rows.
        include: Patterns (`fnmatch`; `*` also matches `/`) of the files to fetch, by their names at W&B; None for all.
            The summary is always stored.
        exclude: Patterns of files to skip, even if `include` matches them.
        jobs: The number of connections, 1 to 128.
        deadline: Seconds that the whole call may take; None for no limit. Each single request has its own timeout.
        progress: Called with a `Progress` when bytes arrive and files are complete.
        history_format: `json` (an array of objects), `jsonl` (one row per line) or `parquet` (needs
            `wandb-artifacts[parquet]`).
        storage_options: fsspec options for the destination, such as credentials of an object store.

    Returns:
        The runs as they are at the destination now.

    Raises:
        InvalidValueError: An argument is invalid; no work was started.
        AuthenticationError: No API key was found, or W&B rejected it.
        AccessDeniedError: The API key has no access.
        NotFoundError: W&B has no such sweep.
        ServerUnavailableError: W&B is unreachable.
        ServerAnswerError: W&B returned an invalid response, or refused the request.
        IncompleteDownloadError: Files are missing; its `result` lists what is there and what is not.
        DeadlineError: The deadline has passed.
        DestinationError: The destination is not writable.
    """
    options = make_options(
        include_history=include_history,
        history_format=history_format,
        include=include,
        exclude=exclude,
        jobs=jobs,
        deadline=deadline,
        progress=progress,
    )
    call = Call(destination, check_storage_options(storage_options), options)
    return await call.sweep(read_ref(SweepRef, sweep))
