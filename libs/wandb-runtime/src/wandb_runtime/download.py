"""Downloads of runs, for users. Imported on first use, because `flyte.io` takes long to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts import InvalidValueError, RunRef
from wandb_artifacts.client import use_connection
from wandb_artifacts.flyte import download_run_to_folder

from wandb_runtime.lifecycle import traces
from wandb_runtime.lifecycle.current import current_run
from wandb_runtime.lifecycle.defaults import ReferenceDefaults
from wandb_runtime.lifecycle.finish import last_step_of
from wandb_runtime.server.references import parse_reference
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.threads import to_thread

if TYPE_CHECKING:
    import os

    from flyte.io import Dir
    from wandb import Run
    from wandb_artifacts.client import Connection


@dataclass(frozen=True)
class _Source:
    """A run on W&B."""

    ref: RunRef
    connection: Connection
    last_step: int = -1
    """The last step that the run is known to have; -1 if unknown."""
    is_over: bool = True
    """Whether the run has ended; False for the current run."""


def download_wandb_run_dir(
    run_id: str | None = None, path: str | os.PathLike[str] | None = None, include_history: bool = True
) -> str:
    """Download a W&B run to a folder: every file, `summary.json`, `config.json`, `run.json`, and all logged rows.

    Each file is verified. Complete files are not downloaded again, so a second call continues an interrupted one. For
    the current run, and for one that has just ended, it waits up to 20 seconds until W&B has everything.

    It blocks. In an async task use `await asyncio.to_thread(download_wandb_run_dir)`, which does not block the event
    loop.

    Args:
        run_id: The run: its id, `entity/project/id`, or the URL of its page; None for the current one. For an id
            without a project, the project is that of the current run, then that of the configuration, then
            `WANDB_PROJECT`; likewise the entity, which is that of the API key by default.
        path: The folder of the run, or an fsspec URL; `/tmp/wandb_runs/{run_id}` by default, where `/tmp` is the
            folder for temporary files.
        include_history: Whether to write `metrics_history.json`: an array of all logged rows.

    Returns:
        The folder. For a current run that is offline, its local run directory, whatever `path` is: it cannot be
            downloaded.

    Raises:
        InvalidValueError: The run_id is invalid, or none is given outside of a run.
        DownloadError: Something is missing; `IncompleteDownloadError` says what.
    """
    source = _find(run_id)
    if isinstance(source, str):
        return source
    with use_connection(source.connection):
        traces.settle_sync(source.ref, last_step=source.last_step, is_over=source.is_over)
        return download_run_to_folder(source.ref, path, include_history=include_history).destination


async def download_wandb_run_logs(run_id: str) -> Dir:
    """Download a W&B run in a trace of the current task, whose output is the directory of files.

    The directory holds every file of the run, `summary.json`, `config.json`, `run.json` and `metrics_history.json`,
    `output.log` even if the run was killed before it uploaded the file, and nothing else. A retry of
    the task downloads them again. For the current run, and for one that has just ended, it waits up to 20 seconds until
    W&B has everything.

    Args:
        run_id: The run: its id, `entity/project/id`, or the URL of its page; see `download_wandb_run_dir`.

    Returns:
        The directory. For a current run that is offline, its local run directory.

    Raises:
        InvalidValueError: The run_id is invalid.
        DownloadError: Something is missing; `IncompleteDownloadError` says what.
    """
    source = await to_thread(lambda: _find(run_id))
    task = current_task()
    attempt = task.attempt_key if task else ""
    if isinstance(source, str):
        return await traces.wandb_run_directory(source, attempt)
    ref = source.ref
    # In the context rather than among the inputs of the trace, which Flyte shows: headers may be secret.
    with use_connection(source.connection):
        return await traces.download_wandb_run_logs(
            str(ref), ref.host or "", source.last_step, is_over=source.is_over, attempt=attempt
        )


def _find(run_id: str | None) -> _Source | str:
    """Find the run; returns the local directory if the run is not on W&B."""
    here = current_run()
    run = here.run.run if here and here.run else None
    location = here.location if here else None
    if run_id is None:
        if run is None or location is None:
            reason = "no W&B run is open here; give the run_id, or call this where get_wandb_run() returns a run"
            raise InvalidValueError(field="run_id", value=None, reason=reason)
        run_id = location.id
    if run is not None and _names(run_id, run) and (local := _local(run)):
        return local
    defaults = ReferenceDefaults.of(here)
    ref = parse_reference(RunRef, "run_id", run_id, defaults.projects, defaults.connection)
    if run is not None and (ref.id, ref.entity, ref.project) == (run.id, run.entity, run.project):
        return _Source(ref, defaults.connection, last_step_of(run), is_over=False)
    return _Source(ref, defaults.connection)


def _names(text: object, run: Run) -> bool:
    """Whether an id, a path or the URL of a page can be that of this run; what the run lacks matches everything."""
    if not isinstance(text, str):
        return False
    try:
        ref = RunRef.parse(text, entity=run.entity or "any", project=run.project or "any")
    except InvalidValueError:
        return False
    return (ref.id, ref.project, ref.entity) == (run.id, run.project or ref.project, run.entity or ref.entity)


def _local(run: Run) -> str | None:
    if run.disabled:
        raise InvalidValueError(field="run_id", value=run.id, reason="belongs to a disabled run, which has no files")
    return str(Path(run.dir).parent) if run.offline else None
