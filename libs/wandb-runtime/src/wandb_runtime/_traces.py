"""Traces whose outputs are directories. Imported on first use, because `flyte.io` takes long.

Flyte replays the traces of a failed attempt in the next one. The attempt is among the inputs, so these run anew.
"""

import flyte
from flyte.io import Dir


@flyte.trace
async def wandb_run_directory(path: str, attempt: int) -> Dir:  # noqa: ARG001
    """Stores the local directory of a W&B run."""
    return await Dir.from_local(path)


@flyte.trace
def wandb_run_directory_sync(path: str, attempt: int) -> Dir:  # noqa: ARG001
    """`wandb_run_directory` for sync tasks."""
    return Dir.from_local_sync(path)
