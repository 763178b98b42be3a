"""Traces whose outputs are directories. Imported on first use, because `flyte.io` takes long to import.

Flyte replays the traces of a failed attempt in the next one. The attempt is among the inputs, so these run again.
"""

import logging
from pathlib import Path

import flyte
from flyte.io import Dir
from wandb_artifacts import RunRef
from wandb_artifacts.flyte import download_run_to_dir, wait_for_run

from wandb_runtime.tasks.shutdown import until_stopped

_logger = logging.getLogger("wandb_runtime")

_PATIENCE = 20.0
"""Seconds; longer than the 15 s for which W&B's SDK may hold back what was logged."""


@flyte.trace
async def wandb_run_directory(path: str, attempt: str, run: str = "", host: str = "", shared_by: str = "") -> Dir:  # noqa: ARG001
    """Store the local directory of a W&B run. `flyte wandb sync` reads the arguments.

    Args:
        path: The directory.
        attempt: The attempt of the task.
        run: `entity/project/id`, as far as known.
        host: The API base URL of the server that lacks the run's data; empty for a run that is still open.
        shared_by: The label of this writer, for a run with several.
    """
    _require_data(path)
    return await Dir.from_local(path)


@flyte.trace
def wandb_run_directory_sync(path: str, attempt: str, run: str = "", host: str = "", shared_by: str = "") -> Dir:  # noqa: ARG001
    """`wandb_run_directory` for sync tasks."""
    _require_data(path)
    return Dir.from_local_sync(path)


@flyte.trace
async def download_wandb_run_logs(run_id: str, host: str, last_step: int, is_over: bool, attempt: str) -> Dir:  # noqa: ARG001
    """Download a W&B run and store its files.

    Args:
        run_id: The full path of the run.
        host: The API base URL of the server; empty for the SDK's default.
        last_step: The last step that the run is known to have; -1 if unknown.
        is_over: Whether the run has ended, so that the server should have all of it.
        attempt: The attempt of the task.
    """
    run = RunRef.parse(run_id, host=host or None)
    await settle(run, last_step=last_step, is_over=is_over)
    return await download_run_to_dir.aio(run)


@flyte.trace
def download_wandb_run_logs_sync(run_id: str, host: str, last_step: int, is_over: bool, attempt: str) -> Dir:  # noqa: ARG001
    """`download_wandb_run_logs` for sync tasks."""
    run = RunRef.parse(run_id, host=host or None)

    def download() -> Dir:
        settle_sync(run, last_step=last_step, is_over=is_over)
        return download_run_to_dir(run)

    return until_stopped(download)


def _require_data(path: str) -> None:
    """Raise if the directory has no data: Flyte uploads an empty directory without an error."""
    if not any(Path(path).glob("*.wandb")):
        msg = f"{path} contains no W&B data"
        raise FileNotFoundError(msg)


async def settle(run: RunRef, *, last_step: int, is_over: bool) -> None:
    """Wait, within bounds, until W&B has all of a run; warn if it does not by then.

    Args:
        run: The run.
        last_step: The last step that the run is known to have; -1 if unknown.
        is_over: Whether the run has ended, so that the server should have all of it.
    """
    _warn(run, await wait_for_run.aio(run, last_step=last_step, ends=is_over, timeout=_PATIENCE))


def settle_sync(run: RunRef, *, last_step: int, is_over: bool) -> None:
    """`settle`, blocking."""
    _warn(run, wait_for_run(run, last_step=last_step, ends=is_over, timeout=_PATIENCE))


def _warn(run: RunRef, missing: str | None) -> None:
    if missing is not None:
        _logger.warning("The download of W&B run %s is incomplete: W&B %s", run, missing)
