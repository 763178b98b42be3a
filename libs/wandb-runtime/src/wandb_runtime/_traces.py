"""Traces whose outputs are directories. Imported on first use, because `flyte.io` takes long.

Flyte replays the traces of a failed attempt in the next one. The attempt is among the inputs, so these run anew.
"""

from pathlib import Path

import flyte
from flyte.io import Dir
from wandb_artifacts import RunRef
from wandb_artifacts.flyte import download_run_to_dir

from wandb_runtime._settling import settle, settle_sync
from wandb_runtime._stopping import until_stopped


@flyte.trace
async def wandb_run_directory(path: str, attempt: str) -> Dir:  # noqa: ARG001
    """Stores the local directory of a W&B run."""
    _require_data(path)
    return await Dir.from_local(path)


@flyte.trace
def wandb_run_directory_sync(path: str, attempt: str) -> Dir:  # noqa: ARG001
    """`wandb_run_directory` for sync tasks."""
    _require_data(path)
    return Dir.from_local_sync(path)


@flyte.trace
async def download_wandb_run_logs(run_id: str, host: str, last_step: int, is_over: bool, attempt: str) -> Dir:  # noqa: ARG001
    """Downloads a W&B run and stores its files.

    Args:
        run_id: Its full path.
        host: The API address of the server; empty for the SDK's default.
        last_step: The last step that it is known to have; -1 where that is not known.
        is_over: Whether it has ended, so that the server is to have all of it.
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
    """Flyte uploads what it finds, and does not mind finding nothing."""
    if not any(Path(path).glob("*.wandb")):
        msg = f"there is no W&B data in {path}"
        raise FileNotFoundError(msg)
