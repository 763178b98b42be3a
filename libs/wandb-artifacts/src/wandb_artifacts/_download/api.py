"""The public calls, with everything that a call may be given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import Twin
from wandb_artifacts._download.call import Call
from wandb_artifacts._download.options import DEFAULT_JOBS, check_storage_options, make_options, read_ref
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    from wandb_artifacts._download.results import HistoryFormat, OnProgress, RunDownload, SweepDownload


@Twin
async def download_run(
    run: RunRef | str,
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
    """Downloads a run: its files, its summary, all its history; each file verified, and whole or not there at all.

    What is at the destination already is not fetched again. Interrupted at any point, the next call goes on.
    `download_run(...)` blocks; `await download_run.aio(...)` does not.

    Args:
        run: The run: a `RunRef`, `entity/project/id`, or the address of its page. What a path does not name is taken
            from `WANDB_ENTITY` and `WANDB_PROJECT`.
        destination: Where to: a folder, or an fsspec URL such as `s3://bucket/path`, `gs://...`, `memory://...`. It
            becomes the folder of the run.
        include_history: Whether to store all logged rows.
        include: Patterns (as of `fnmatch`: `*` also matches `/`) of the files to fetch, by their names at W&B; None for
            all. The summary is always stored.
        exclude: Patterns of files to leave out, also where `include` has them.
        jobs: How many connections to use, 1 to 128.
        deadline: Seconds that the call may take in all; None for no limit. Each wait for the server is limited anyhow.
        progress: Called with a `Progress` as bytes arrive and files are done.
        history_format: `json` (an array of objects), `jsonl` (a row a line) or `parquet` (needs
            `wandb-artifacts[parquet]`).
        storage_options: What fsspec needs for the destination, such as keys of an object store.

    Returns:
        What is there now.

    Raises:
        InvalidValueError: An argument cannot be meant; nothing was started.
        AuthenticationError: There is no API key, or W&B refuses it.
        AccessDeniedError: The key has no access.
        NotFoundError: There is no such run.
        ServerUnavailableError: W&B cannot be reached.
        IncompleteDownloadError: Something is missing; its `result` says what is there and what is not.
        DeadlineError: The deadline has passed.
        DestinationError: The destination cannot be written.
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


@Twin
async def download_sweep(
    sweep: SweepRef | str,
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
    """Downloads all runs of a sweep, each as `download_run` does, to a folder of its own that is named by its id.

    `download_sweep(...)` blocks; `await download_sweep.aio(...)` does not.

    Args:
        sweep: The sweep: a `SweepRef`, `entity/project/id`, or the address of its page. What a path does not name is
            taken from `WANDB_ENTITY` and `WANDB_PROJECT`.
        destination: Where to: a folder, or an fsspec URL such as `s3://bucket/path`, `gs://...`, `memory://...`. The
            folders of the runs are made in it.
        include_history: Whether to store all logged rows.
        include: Patterns (as of `fnmatch`: `*` also matches `/`) of the files to fetch, by their names at W&B; None for
            all. The summary is always stored.
        exclude: Patterns of files to leave out, also where `include` has them.
        jobs: How many connections to use, 1 to 128.
        deadline: Seconds that the call may take in all; None for no limit. Each wait for the server is limited anyhow.
        progress: Called with a `Progress` as bytes arrive and files are done.
        history_format: `json` (an array of objects), `jsonl` (a row a line) or `parquet` (needs
            `wandb-artifacts[parquet]`).
        storage_options: What fsspec needs for the destination, such as keys of an object store.

    Returns:
        What is there now, run by run.

    Raises:
        InvalidValueError: An argument cannot be meant; nothing was started.
        AuthenticationError: There is no API key, or W&B refuses it.
        AccessDeniedError: The key has no access.
        NotFoundError: There is no such sweep.
        ServerUnavailableError: W&B cannot be reached.
        IncompleteDownloadError: Something is missing; its `result` says what is there and what is not.
        DeadlineError: The deadline has passed.
        DestinationError: The destination cannot be written.
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
