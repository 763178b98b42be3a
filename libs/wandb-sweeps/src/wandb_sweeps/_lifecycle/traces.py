"""Traces whose outputs are directories. Imported on first use, because `flyte.io` takes long.

Flyte replays the traces of a failed attempt in the next one. The attempt is among the inputs, so these run anew.
"""

import logging

import flyte
from flyte.io import Dir
from wandb_artifacts import SweepRef
from wandb_artifacts.flyte import download_sweep_to_dir, wait_for_sweep
from wandb_runtime.tasks.shutdown import until_stopped

_logger = logging.getLogger("wandb_sweeps")

_PATIENCE = 20.0
"""Seconds that runs which have just ended may take to be complete at W&B."""


@flyte.trace
async def download_wandb_sweep_logs(sweep_id: str, host: str, attempt: str) -> Dir:  # noqa: ARG001
    """Downloads the runs of a W&B sweep and stores their files.

    Args:
        sweep_id: Its full path.
        host: The API address of the server; empty for the SDK's default.
        attempt: The attempt of the task.
    """
    sweep = SweepRef.parse(sweep_id, host=host or None)
    _say(sweep, await wait_for_sweep.aio(sweep, timeout=_PATIENCE))
    return await download_sweep_to_dir.aio(sweep)


@flyte.trace
def download_wandb_sweep_logs_sync(sweep_id: str, host: str, attempt: str) -> Dir:  # noqa: ARG001
    """`download_wandb_sweep_logs` for sync tasks."""
    sweep = SweepRef.parse(sweep_id, host=host or None)

    def download() -> Dir:
        settle(sweep)
        return download_sweep_to_dir(sweep)

    return until_stopped(download)


def settle(sweep: SweepRef) -> None:
    """Waits until W&B has all runs of a sweep, within bounds; says so where it has not by then. Blocks."""
    _say(sweep, wait_for_sweep(sweep, timeout=_PATIENCE))


def _say(sweep: SweepRef, lacks: str | None) -> None:
    if lacks is not None:
        _logger.warning("W&B sweep %s is downloaded as far as it is there: W&B %s", sweep, lacks)
