"""The command that delivers a stored run directory to W&B."""

from __future__ import annotations

import re


def sync_arguments(directory: str, *, is_offline: bool, run_id: str | None) -> list[str]:
    """Return the arguments of `wandb` that upload a run from its directory.

    Args:
        directory: The directory. Its artifacts are found from its parent.
        is_offline: Whether the run was offline.
        run_id: The id on W&B, if it is not the run's own.
    """
    options = [] if is_offline else ["--no-skip-online"]
    options += ["--id", run_id] if run_id else []
    return ["sync", *options, directory]


def sync_id(run: str, shared_by: str) -> str:
    """Return the id for what one of several writers has logged.

    Under the run's own id, it would replace the rows of the others.

    Args:
        run: `entity/project/id`, as far as known.
        shared_by: The label of the writer.
    """
    return re.sub(r"[^\w.-]", "-", f"{run.rpartition('/')[2]}-{shared_by}", flags=re.ASCII)
