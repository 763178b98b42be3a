"""The files of a sweep that a task has created, as an output of the task: what `download_logs` asks for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_runtime.hosting import off_loop

if TYPE_CHECKING:
    from types import ModuleType

    from flyte.io import Dir

    from wandb_sweeps._address import SweepAddress

_logger = logging.getLogger("wandb_sweeps")


@dataclass(frozen=True)
class SweepLogs:
    """The runs of a sweep, at W&B."""

    address: SweepAddress
    is_asked_for: bool = True

    def store(self, attempt: str) -> Dir:
        """Downloads and stores their files; see `wandb_runtime.hosting.Keepable`."""
        traces = load_traces(self.address.host)
        stored: Dir = traces.download_wandb_sweep_logs_sync(str(self.address.ref), self.address.host, attempt)
        return stored

    async def store_async(self, attempt: str) -> Dir:
        """Downloads and stores their files."""
        traces = await off_loop(lambda: load_traces(self.address.host))
        stored: Dir = await traces.download_wandb_sweep_logs(str(self.address.ref), self.address.host, attempt)
        return stored

    def say_kept(self, uri: str) -> None:
        """Says where they are."""
        _logger.info("The files of W&B sweep %s are downloaded, as the output of a trace: %s", self.address.ref, uri)

    def say_failed(self, failure: Exception) -> None:
        """Says why they could not be downloaded."""
        _logger.error(
            "The files of W&B sweep %s could not be downloaded for Flyte (%s: %s). %s",
            self.address.ref,
            type(failure).__name__,
            failure,
            self._advice,
        )

    def say_lost(self, reason: str) -> None:
        """Says why they are not downloaded."""
        _logger.warning("The files of W&B sweep %s are not downloaded: %s. %s", self.address.ref, reason, self._advice)

    @property
    def _advice(self) -> str:
        command = f"WANDB_BASE_URL={self.address.host} wandb-artifacts sweep {self.address.ref}"
        return f"They are at W&B: `{command}` downloads them"


def load_traces(host: str | None) -> ModuleType:
    """What takes long to import.

    Args:
        host: A server that the user's own code or configuration names, so that the API key is for it.
    """
    from wandb_artifacts.flyte import trust_host

    from wandb_sweeps._lifecycle import traces

    if host:
        trust_host(host)
    return traces
