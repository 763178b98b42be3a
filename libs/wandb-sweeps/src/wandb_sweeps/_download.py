"""Downloads of sweeps, for users. Imported on first use: it needs `flyte.io`, which takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_artifacts import InvalidValueError, SweepRef
from wandb_artifacts.flyte import download_sweep_to_folders
from wandb_runtime import WandbConfig
from wandb_runtime.server.references import parse_reference
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.outputs import trust
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._config.sweep import WandbSweepConfig
from wandb_sweeps._lifecycle import traces
from wandb_sweeps._server.lookup import sweep_in_force

if TYPE_CHECKING:
    import os

    from flyte.io import Dir


def download_wandb_sweep_dirs(
    sweep_id: str | None = None, base_path: str | os.PathLike[str] | None = None, include_history: bool = True
) -> list[str]:
    """Downloads all runs of a W&B sweep, each to a folder of its own.

    A run's folder holds `summary.json`, every file of the run, and all its logged rows. Each file is verified. What is
    there already is not fetched again, so that an interrupted call goes on. Of runs that are just over W&B may not have
    everything yet: it is waited for, up to 20 seconds.

    Blocks, the event loop of an async task too: there `await asyncio.to_thread(download_wandb_sweep_dirs)` does not.

    Args:
        sweep_id: The sweep: its id, `entity/project/id`, or the address of its page; None for the one in force. Where
            an id names no project, that of the sweep in force is meant, then that of the sweep configuration, then that
            of the configuration, then `WANDB_PROJECT`; the entity is found likewise, and is that of the API key
            otherwise.
        base_path: The folder that gets one for each run, or an fsspec URL; `/tmp/wandb_runs` by default, where `/tmp`
            is the folder for temporary files.
        include_history: Whether to write `metrics_history.json`: an array of all logged rows.

    Returns:
        The folders of the runs, in the order in which W&B created these.

    Raises:
        InvalidValueError: It is no sweep, or none is given and there is none in force.
        DownloadError: Something is missing; `IncompleteDownloadError` says what.
    """
    sweep = _find(sweep_id)
    traces.settle(sweep)
    found = download_sweep_to_folders(sweep, base_path, include_history=include_history)
    return [run.destination for run in found.runs]


async def download_wandb_sweep_logs(sweep_id: str) -> Dir:
    """Downloads all runs of a W&B sweep, as a trace of the current task whose output their files are.

    The directory holds a folder for each run, with `summary.json`, `metrics_history.json` and every file of the run,
    and nothing else. A retry of the task downloads them anew. Of runs that are just over W&B may not have everything
    yet: it is waited for, up to 20 seconds.

    Args:
        sweep_id: The sweep: its id, `entity/project/id`, or the address of its page; see `download_wandb_sweep_dirs`.

    Returns:
        The directory.

    Raises:
        InvalidValueError: It is no sweep.
        DownloadError: Something is missing; `IncompleteDownloadError` says what.
    """
    sweep = await to_thread(lambda: _find(sweep_id))
    task = current_task()
    attempt = task.attempt_key if task else ""
    return await traces.download_wandb_sweep_logs(str(sweep), sweep.host or "", attempt)


def _find(sweep_id: str | None) -> SweepRef:
    """The sweep that is meant."""
    here = sweep_in_force()
    if sweep_id is None:
        if here is None:
            reason = "there is no W&B sweep in force here; give the sweep_id, or decorate the task with @wandb_sweep"
            raise InvalidValueError(field="sweep_id", value=None, reason=reason)
        sweep_id = here.id
    sweep, run = WandbSweepConfig.current(), WandbConfig.current()
    host = here.host if here else run.host
    trust(host)
    places = [(sweep.entity, sweep.project), (run.entity, run.project)]
    if here:
        places.insert(0, (here.entity, here.project))
    return parse_reference(SweepRef, "sweep_id", sweep_id, places, host)
