"""Traces whose outputs are directories. Imported on first use, because `flyte.io` takes long.

Flyte replays the traces of a failed attempt in the next one. The attempt is among the inputs, so these run anew.
"""

from pathlib import Path

import flyte
from flyte.io import Dir


@flyte.trace
async def wandb_run_directory(path: str, attempt: int) -> Dir:  # noqa: ARG001
    """Stores the local directory of a W&B run."""
    _require_data(path)
    return await Dir.from_local(path)


@flyte.trace
def wandb_run_directory_sync(path: str, attempt: int) -> Dir:  # noqa: ARG001
    """`wandb_run_directory` for sync tasks."""
    _require_data(path)
    return Dir.from_local_sync(path)


def _require_data(path: str) -> None:
    """Flyte uploads what it finds, and does not mind finding nothing."""
    if not any(Path(path).glob("*.wandb")):
        msg = f"there is no W&B data in {path}"
        raise FileNotFoundError(msg)
