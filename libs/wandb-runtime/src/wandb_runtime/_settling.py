"""Waiting for W&B to have all of a run before it is downloaded. Imported on first use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wandb_artifacts.flyte import wait_for_run

if TYPE_CHECKING:
    from wandb_artifacts import RunRef

_logger = logging.getLogger("wandb_runtime")

PATIENCE = 20.0
"""Seconds; longer than the 15 that W&B's SDK may keep what was logged before it sends it."""


async def settle(run: RunRef, *, last_step: int, is_over: bool) -> None:
    """Waits until W&B has a run, within bounds; says so where it does not have all of it by then.

    Args:
        run: The run.
        last_step: The last step that it is known to have; -1 where that is not known.
        is_over: Whether it has ended, so that the server is to have all of it.
    """
    _say(run, await wait_for_run.aio(run, last_step=last_step, ends=is_over, timeout=PATIENCE))


def settle_sync(run: RunRef, *, last_step: int, is_over: bool) -> None:
    """`settle`, blocking."""
    _say(run, wait_for_run(run, last_step=last_step, ends=is_over, timeout=PATIENCE))


def _say(run: RunRef, lacks: str | None) -> None:
    if lacks is not None:
        _logger.warning("W&B run %s is downloaded as far as it is there: W&B %s", run, lacks)
