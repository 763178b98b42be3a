"""Downloads of runs, for users. Imported on first use: it needs `flyte.io`, which takes long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts import InvalidValueError, RunRef
from wandb_artifacts.flyte import download_run_to_folder

from wandb_runtime.config.context import flyte_context
from wandb_runtime.config.run import WandbConfig
from wandb_runtime.lifecycle import traces
from wandb_runtime.lifecycle.current import current_run
from wandb_runtime.lifecycle.finish import last_step_of
from wandb_runtime.lifecycle.plans import RunAddress
from wandb_runtime.server.references import parse_reference
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.outputs import trust
from wandb_runtime.tasks.threads import to_thread

if TYPE_CHECKING:
    import os

    from flyte.io import Dir
    from wandb import Run


@dataclass(frozen=True)
class _Wanted:
    """A run at W&B."""

    ref: RunRef
    last_step: int = -1
    """The last step that it is known to have."""
    is_over: bool = True
    """Whether it is not the one that is being logged to by the current code."""


def download_wandb_run_dir(
    run_id: str | None = None, path: str | os.PathLike[str] | None = None, include_history: bool = True
) -> str:
    """Downloads a W&B run to a folder: `summary.json`, every file of the run, and all its logged rows.

    Each file is verified. What is in the folder already is not fetched again, so that an interrupted call goes on. Of a
    run that is just over, or the current one, W&B may not have everything yet: it is waited for, up to 20 seconds.

    Blocks, the event loop of an async task too: there `await asyncio.to_thread(download_wandb_run_dir)` does not.

    Args:
        run_id: The run: its id, `entity/project/id`, or the address of its page; None for the current one. Where an id
            names no project, that of the current run is meant, then that of the configuration, then `WANDB_PROJECT`;
            the entity is found likewise, and is that of the API key otherwise.
        path: The folder, which becomes that of the run, or an fsspec URL; `/tmp/wandb_runs/{run_id}` by default, where
            `/tmp` is the folder for temporary files.
        include_history: Whether to write `metrics_history.json`: an array of all logged rows.

    Returns:
        The folder. Of a current run that is offline, its local run directory, whatever `path` is: there is nothing to
        download.

    Raises:
        InvalidValueError: It is no run, or none is given and there is no current one.
        DownloadError: Something is missing; `IncompleteDownloadError` says what.
    """
    wanted = _find(run_id)
    if isinstance(wanted, str):
        return wanted
    traces.settle_sync(wanted.ref, last_step=wanted.last_step, is_over=wanted.is_over)
    return download_run_to_folder(wanted.ref, path, include_history=include_history).destination


async def download_wandb_run_logs(run_id: str) -> Dir:
    """Downloads a W&B run, as a trace of the current task whose output its files are.

    The directory holds `summary.json`, `metrics_history.json` and every file of the run, and nothing else. A retry of
    the task downloads them anew. Of a run that is just over W&B may not have everything yet: it is waited for, up to 20
    seconds.

    Args:
        run_id: The run: its id, `entity/project/id`, or the address of its page; see `download_wandb_run_dir`.

    Returns:
        The directory. Of a current run that is offline, its local run directory.

    Raises:
        InvalidValueError: It is no run.
        DownloadError: Something is missing; `IncompleteDownloadError` says what.
    """
    wanted = await to_thread(lambda: _find(run_id))
    task = current_task()
    attempt = task.attempt_key if task else ""
    if isinstance(wanted, str):
        return await traces.wandb_run_directory(wanted, attempt)
    ref = wanted.ref
    return await traces.download_wandb_run_logs(
        str(ref), ref.host or "", wanted.last_step, is_over=wanted.is_over, attempt=attempt
    )


def _find(run_id: str | None) -> _Wanted | str:
    """The run that is meant; the local directory of one that is not at W&B."""
    here = current_run()
    run = here.run if here else None
    address = here.address if here else None
    if run_id is None:
        if run is None or address is None:
            reason = "there is no current W&B run here; give the run_id, or call it where get_wandb_run() has a run"
            raise InvalidValueError(field="run_id", value=None, reason=reason)
        run_id = address.id
    if run is not None and _names(run_id, run) and (local := _local(run)):
        return local
    inherited = address or RunAddress.from_context(flyte_context())
    config = WandbConfig.current()
    host = (inherited and inherited.host) or config.host
    trust(host)
    places = [(config.entity, config.project)]
    if inherited:
        places.insert(0, (inherited.entity, inherited.project))
    ref = parse_reference(RunRef, "run_id", run_id, places, host)
    if run is not None and (ref.id, ref.entity, ref.project) == (run.id, run.entity, run.project):
        return _Wanted(ref, last_step_of(run), is_over=False)
    return _Wanted(ref)


def _names(text: object, run: Run) -> bool:
    """Whether an id, a path or the address of a page can be that of a run; what the run itself lacks matches all."""
    if not isinstance(text, str):
        return False
    try:
        ref = RunRef.parse(text, entity=run.entity or "any", project=run.project or "any")
    except InvalidValueError:
        return False
    return (ref.id, ref.project, ref.entity) == (run.id, run.project or ref.project, run.entity or ref.entity)


def _local(run: Run) -> str | None:
    if run.disabled:
        raise InvalidValueError(field="run_id", value=run.id, reason="is a disabled run, which has no files")
    return str(Path(run.dir).parent) if run.offline else None
