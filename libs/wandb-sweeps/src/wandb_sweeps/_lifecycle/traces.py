"""The traces that download a sweep; their outputs are directories. Imported on first use: `flyte.io` is slow to import.

Flyte replays the traces of a failed attempt in the next one. The attempt is among the inputs, so these run again.
"""

import logging

import flyte
from flyte.io import Dir
from wandb_artifacts import SweepRef
from wandb_artifacts.client import use_connection
from wandb_artifacts.flyte import download_sweep_to_dir, wait_for_sweep
from wandb_runtime.tasks.shutdown import until_stopped

from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server.lookup import current_connection

_logger = logging.getLogger("wandb_sweeps")

_SETTLING_TIMEOUT = 20.0
"""Seconds to wait until runs that have just ended are complete at W&B."""


@flyte.trace
async def download_wandb_sweep_logs(sweep_id: str, host: str, attempt: str) -> Dir:  # noqa: ARG001
    """Download the runs of a W&B sweep and store their files.

    Args:
        sweep_id: Its full path.
        host: The API base URL of the server; empty for the SDK's default.
        attempt: The attempt of the task.
    """
    sweep = SweepRef.parse(sweep_id, host=host or None)
    with use_connection(current_connection(SweepLocation.current())):
        _warn_if_incomplete(sweep, await wait_for_sweep.aio(sweep, timeout=_SETTLING_TIMEOUT))
        return await download_sweep_to_dir.aio(sweep)


@flyte.trace
def download_wandb_sweep_logs_sync(sweep_id: str, host: str, attempt: str) -> Dir:  # noqa: ARG001
    """`download_wandb_sweep_logs` for sync tasks."""
    sweep = SweepRef.parse(sweep_id, host=host or None)

    def download() -> Dir:
        with use_connection(current_connection(SweepLocation.current())):
            settle(sweep)
            return download_sweep_to_dir(sweep)

    return until_stopped(download)


def settle(sweep: SweepRef) -> None:
    """Wait for a limited time until W&B has all runs of a sweep, and warn if it does not. Blocks."""
    _warn_if_incomplete(sweep, wait_for_sweep(sweep, timeout=_SETTLING_TIMEOUT))


def _warn_if_incomplete(sweep: SweepRef, lacks: str | None) -> None:
    if lacks is not None:
        _logger.warning("The download of W&B sweep %s is incomplete: W&B %s", sweep, lacks)
