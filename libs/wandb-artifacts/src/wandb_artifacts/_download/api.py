"""The public functions of downloads, with all their options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import syncify
from wandb_artifacts._download.call import Call
from wandb_artifacts._download.options import (
    DEFAULT_JOBS,
    check_references,
    check_storage_options,
    make_options,
    read_artifact,
    read_project,
    read_ref,
)
from wandb_artifacts._download.selection import make_selection
from wandb_artifacts._refs import RunRef, SdkObject, SweepRef

if TYPE_CHECKING:
    from datetime import date, datetime

    from wandb_artifacts._artifact_refs import ArtifactRef, SdkArtifact
    from wandb_artifacts._download.results import (
        ArtifactDownload,
        HistoryFormat,
        OnArtifactProgress,
        OnProgress,
        References,
        RunDownload,
        RunsDownload,
        SweepDownload,
    )
    from wandb_artifacts._project_refs import ProjectRef


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
            `wandb-artifacts[parquet]`, with which long histories in any format come from W&B's own exports).
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
async def download_artifact(
    artifact: ArtifactRef | str | SdkArtifact,
    destination: str | os.PathLike[str],
    *,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    references: References = "fetch",
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnArtifactProgress | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> ArtifactDownload:
    """Download a version of an artifact: every file of its manifest, verified and written atomically.

    Files that are already at the destination are not fetched again. After an interruption, the next call resumes.
    Contents that several files share are fetched once. `download_artifact(...)` blocks;
    `await download_artifact.aio(...)` does not.

    Args:
        artifact: The version: an `ArtifactRef`, `entity/project/name:alias` (the alias may be a version, such as `v3`;
            it defaults to `latest`), the URL of its page, or an artifact of the wandb SDK. `WANDB_ENTITY` and
            `WANDB_PROJECT` are the defaults for missing parts.
        destination: The folder of the artifact: a path, or an fsspec URL such as `s3://bucket/path`, `gs://...`,
            `memory://...`.
        include: Patterns (`fnmatch`; `*` also matches `/`) of the files to fetch, by their names in the artifact; None
            for all.
        exclude: Patterns of files to skip, even if `include` matches them.
        references: `fetch` to also fetch objects and files that the artifact refers to (`s3://`, `gs://`, `https://`,
            `file://`, ...), which needs their fsspec drivers and credentials; `skip` to leave them out. They are
            compared with the ETag or the size that the artifact states.
        jobs: The number of connections, 1 to 128.
        deadline: Seconds that the whole call may take; None for no limit. Each single request has its own timeout.
        progress: Called with an `ArtifactProgress` when bytes arrive and files are complete.
        storage_options: fsspec options for the destination, such as credentials of an object store. Those for
            references come from the environment.

    Returns:
        The version as it is at the destination now.

    Raises:
        InvalidValueError: An argument is invalid, or the destination holds the download of a run or sweep.
        AuthenticationError: No API key was found, or W&B rejected it.
        AccessDeniedError: The API key has no access.
        NotFoundError: W&B has no such version, or it was deleted, or its upload has not ended.
        ServerUnavailableError: W&B is unreachable.
        ServerAnswerError: W&B returned an invalid response, or refused the request.
        IncompleteDownloadError: Files are missing; its `result` lists what is there and what is not.
        DeadlineError: The deadline has passed.
        DestinationError: The destination is not writable.
    """
    options = make_options(include=include, exclude=exclude, jobs=jobs, deadline=deadline)
    call = Call(destination, check_storage_options(storage_options), options)
    return await call.artifact(read_artifact(artifact), check_references(references), progress)


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


@syncify
async def download_runs(
    project: ProjectRef | str,
    destination: str | os.PathLike[str],
    *,
    filters: Mapping[str, object] | None = None,
    tags: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    group: str | None = None,
    job_type: str | None = None,
    created_after: datetime | date | str | None = None,
    created_before: datetime | date | str | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    include_history: bool = True,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnProgress | None = None,
    history_format: HistoryFormat = "json",
    storage_options: Mapping[str, object] | None = None,
) -> RunsDownload:
    """Download the runs of a project, each like `download_run`, to a folder that is named by its id; and an index.

    The index is `runs.jsonl`, or `runs.parquet` with `history_format="parquet"`: one row per run with its id, name,
    state, created_at, updated_at, user, tags, group, job_type, sweep, config, summary, history_rows and path. Another
    call sends at most one request per 100 runs, and skips runs that have ended, are complete, and are unchanged.

    `download_runs(...)` blocks; `await download_runs.aio(...)` does not.

    Args:
        project: The project: a `ProjectRef`, `entity/project`, or the URL of its page. `WANDB_ENTITY` is the default
            for a missing entity.
        destination: The folder for the folders of the runs: a path, or an fsspec URL such as `s3://bucket/path`,
            `gs://...`, `memory://...`. It must not hold another project.
        filters: W&B's own filters, as for `wandb.Api().runs()`: `{"config.lr": {"$gt": 0.1}}`. The following arguments
            add to them; a run must match all.
        tags: Only runs that have one of these tags.
        states: Only runs in one of these states: running, finished, failed, crashed, killed, ...
        group: Only runs of this group.
        job_type: Only runs of this job type.
        created_after: Only runs created at this time or later: a `datetime`, a `date`, or ISO 8601 text; UTC without a
            zone. A date stands for its beginning.
        created_before: Only runs created at this time or earlier.
        limit: At most so many runs, the oldest first; None for all.
        dry_run: Whether to count the runs, and their files and bytes at W&B, and download nothing.
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
        InvalidValueError: An argument is invalid, W&B refuses the filters, or the destination holds another project;
            nothing was downloaded.
        AuthenticationError: No API key was found, or W&B rejected it.
        AccessDeniedError: The API key has no access.
        NotFoundError: W&B has no such project.
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
    selection = make_selection(
        filters=filters,
        tags=tags,
        states=states,
        group=group,
        job_type=job_type,
        created_after=created_after,
        created_before=created_before,
        limit=limit,
    )
    call = Call(destination, check_storage_options(storage_options), options)
    return await call.project(read_project(project), selection, dry_run=dry_run)
