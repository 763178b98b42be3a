from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from wandb_artifacts._results import Failure
from wandb_artifacts._twins import Twin


@dataclass(frozen=True)
class Verification:
    """What a destination holds, against what its manifest says."""

    destination: str
    checked: int
    """How many files were read."""
    bytes: int
    """How many bytes they have."""
    failed: tuple[Failure, ...]
    """Files that are missing or differ, by their path below the destination."""
    stale: tuple[str, ...]
    """Files that are there and belong to no download."""

    @property
    def is_good(self) -> bool:
        """Whether every file that was downloaded is there, unchanged."""
        return not self.failed


@Twin
async def verify_download(
    destination: str | os.PathLike[str], *, storage_options: Mapping[str, object] | None = None
) -> Verification:
    raise NotImplementedError
