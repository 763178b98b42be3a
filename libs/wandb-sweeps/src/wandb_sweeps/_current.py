"""The sweep of the code that asks."""

from __future__ import annotations

from wandb_runtime.config.context import SWEEP_ID_KEY, flyte_context


def get_wandb_sweep_id() -> str | None:
    """The id of the W&B sweep in force.

    Returns:
        The id: in a task with `@wandb_sweep`, in the tasks that it calls, and in the trials of their agents; None where
        there is no sweep.
    """
    return flyte_context().get(SWEEP_ID_KEY) or None
