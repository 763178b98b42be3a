"""The files of a sweep's runs, which a task stores as an output: `download_logs`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from wandb_runtime.tasks.outputs import DownloadedLogs

if TYPE_CHECKING:
    from types import ModuleType

    from flyte.io import Dir


@dataclass(frozen=True)
class SweepLogs(DownloadedLogs):
    """The files of the runs of a sweep that a task has created."""

    kind: ClassVar[str] = "sweep"
    logger: ClassVar[logging.Logger] = logging.getLogger("wandb_sweeps")

    def load_traces(self) -> ModuleType:
        """Import the module with the traces."""
        from wandb_sweeps._lifecycle import traces

        return traces

    def call(self, traces: ModuleType, attempt: str) -> Dir:
        """Download and store the files in a sync task."""
        stored: Dir = traces.download_wandb_sweep_logs_sync(self.name, self.host, attempt)
        return stored

    async def call_async(self, traces: ModuleType, attempt: str) -> Dir:
        """Download and store the files in an async task."""
        stored: Dir = await traces.download_wandb_sweep_logs(self.name, self.host, attempt)
        return stored
