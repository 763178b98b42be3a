"""The public functions that download sweeps. Imported on first use: `flyte.io` is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_artifacts import InvalidValueError, SweepRef
from wandb_artifacts.client import use_connection
from wandb_artifacts.flyte import download_sweep_to_folders
from wandb_runtime import WandbConfig
from wandb_runtime.server.references import parse_reference
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._config.sweep import WandbSweepConfig
from wandb_sweeps._lifecycle import traces
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server.lookup import current_connection

if TYPE_CHECKING:
    import os

    from flyte.io import Dir


def download_wandb_sweep_dirs(
    sweep_id: str | None = None, base_path: str | os.PathLike[str] | None = None, include_history: bool = True
) -> list[str]:
    """Download all runs of a W&B sweep, each to its own folder.

    A run's folder contains every file of the run, `summary.json`, `config.json`, `run.json` (its identity), and all its
    logged rows. Each file is verified. Files that are already there are not downloaded again, so an interrupted call
    can be repeated. W&B may not have all data of runs that have just ended: the function waits for it up to 20 seconds.

    It blocks the event loop of an async task: use `await asyncio.to_thread(download_wandb_sweep_dirs)` there.

    Args:
        sweep_id: The sweep: its id, `entity/project/id`, or the URL of its page; None for the current sweep. An id
            without a project belongs to the project of the current sweep, else of the sweep configuration, else of the
            configuration, else `WANDB_PROJECT`; the entity is resolved likewise, and defaults to that of the API key.
        base_path: The folder that contains the runs' folders, or an fsspec URL. Default: `/tmp/wandb_runs`, where
            `/tmp` is the folder for temporary files.
        include_history: Whether to write `metrics_history.json`: an array of all logged rows.

    Returns:
        The folders of the runs, in the order in which W&B created the runs.

    Raises:
        InvalidValueError: `sweep_id` is not a sweep, or is None outside of a sweep.
        DownloadError: A file is missing; `IncompleteDownloadError` names it.
    """
    sweep = _resolve(sweep_id)
    with use_connection(current_connection(SweepLocation.current())):
        traces.settle(sweep)
        found = download_sweep_to_folders(sweep, base_path, include_history=include_history)
    return [run.destination for run in found.runs]


async def download_wandb_sweep_logs(sweep_id: str) -> Dir:
    """Download all runs of a W&B sweep as a trace of the current task; its output contains their files.

    The directory contains a folder for each run, as `download_wandb_sweep_dirs` makes it,
    and nothing else. A retry of the task downloads them again. W&B may not have all data of runs that have just ended:
    the function waits for it up to 20 seconds.

    Args:
        sweep_id: The sweep: its id, `entity/project/id`, or the URL of its page; see `download_wandb_sweep_dirs`.

    Returns:
        The directory.

    Raises:
        InvalidValueError: `sweep_id` is not a sweep.
        DownloadError: A file is missing; `IncompleteDownloadError` names it.
    """
    sweep = await to_thread(lambda: _resolve(sweep_id))
    task = current_task()
    attempt = task.attempt_key if task else ""
    return await traces.download_wandb_sweep_logs(str(sweep), sweep.host or "", attempt)


def _resolve(sweep_id: str | None) -> SweepRef:
    """Complete the name of a sweep by the current sweep and the configuration."""
    current = SweepLocation.current()
    if sweep_id is None:
        if current is None:
            reason = "this task has no current sweep; give the sweep_id, or decorate the task with @wandb_sweep"
            raise InvalidValueError(field="sweep_id", value=None, reason=reason)
        sweep_id = current.id
    sweep, run = WandbSweepConfig.current(), WandbConfig.current()
    host = current.host if current else run.host
    places = [(sweep.entity, sweep.project), (run.entity, run.project)]
    if current:
        places.insert(0, (current.entity, current.project))
    return parse_reference(SweepRef, "sweep_id", sweep_id, places, host)
