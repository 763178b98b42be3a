"""The files of a run that a task has opened, as an output of the task: what `download_logs` asks for."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wandb_runtime._delivery import LocalRun, deliver
from wandb_runtime._off_loop import off_loop
from wandb_runtime._stopping import is_stopping

if TYPE_CHECKING:
    from types import ModuleType

    from flyte.io import Dir
    from wandb import Run

    from wandb_runtime._keeping import Keepable

_logger = logging.getLogger("wandb_runtime")


@dataclass(frozen=True)
class RunLogs:
    """A run that is over, at W&B."""

    name: str
    """`entity/project/id`."""
    host: str
    last_step: int
    """The last step that it is known to have; -1 where that is not known."""
    is_asked_for: bool = True

    def store(self, attempt: str) -> Dir:
        """Downloads and stores its files; see `Keepable`."""
        stored: Dir = load_traces(self.host).download_wandb_run_logs_sync(
            self.name, self.host, self.last_step, is_over=True, attempt=attempt
        )
        return stored

    async def store_async(self, attempt: str) -> Dir:
        """Downloads and stores its files."""
        traces = await off_loop(lambda: load_traces(self.host))
        stored: Dir = await traces.download_wandb_run_logs(
            self.name, self.host, self.last_step, is_over=True, attempt=attempt
        )
        return stored

    def say_kept(self, uri: str) -> None:
        """Says where they are."""
        _logger.info("The files of W&B run %s are downloaded, as the output of a trace: %s", self.name, uri)

    def say_failed(self, failure: Exception) -> None:
        """Says why they could not be downloaded."""
        _logger.error(
            "The files of W&B run %s could not be downloaded for Flyte (%s: %s). %s",
            self.name,
            type(failure).__name__,
            failure,
            self._advice,
        )

    def say_lost(self, reason: str) -> None:
        """Says why they are not downloaded."""
        _logger.warning("The files of W&B run %s are not downloaded: %s. %s", self.name, reason, self._advice)

    @property
    def _advice(self) -> str:
        return f"They are at W&B: `WANDB_BASE_URL={self.host} wandb-artifacts run {self.name}` downloads them"


def load_traces(host: str | None) -> ModuleType:
    """What takes long to import.

    Args:
        host: A server that the user's own code or configuration names, so that the API key is for it.
    """
    from wandb_artifacts.flyte import trust_host

    from wandb_runtime import _traces

    if host:
        trust_host(host)
    return _traces


def deliver_for_download(run: Run, exit_code: int) -> Keepable | None:
    """Closes a run whose files are wanted. Never raises.

    Returns:
        What to keep: its files at W&B, or the local copy where that is what there is.
    """
    last_step = -1 if is_stopping() else last_step_of(run)
    name, host = LocalRun.of(run).name, run.settings.base_url
    local = deliver(run, exit_code, ends_run=True)
    if local is not None:
        return replace(local, is_asked_for=True)
    if run.offline or run.disabled:
        return None
    logs = RunLogs(name, host, last_step)
    if is_stopping():
        logs.say_lost("the task is being stopped")
        return None
    return logs


def last_step_of(run: Run) -> int:
    """The last step that was logged to an open run; -1 where nothing was, or where others may log to it too."""
    with contextlib.suppress(Exception):
        return int(run.step) - 1
    return -1
