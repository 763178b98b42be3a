"""The keys of the Flyte context that are not configuration: what a task hands to the tasks it calls."""

from __future__ import annotations

RUN_ID = "_wandb_run_id"
"""The id of the nearest ancestor's W&B run."""

RUN = "_wandb_run"
"""The full address of that run, as JSON."""
