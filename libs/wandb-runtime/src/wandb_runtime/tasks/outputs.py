"""Directories that a task stores as the output of a trace when its W&B run or sweep is over."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.distributed import is_launched
from wandb_runtime.tasks.shutdown import is_stopping
from wandb_runtime.tasks.threads import to_thread

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import ModuleType

    from flyte.io import Dir
    from wandb_artifacts.client import Connection


class TraceOutput(Protocol):
    """A directory to store, and what to log about it."""

    @property
    def is_requested(self) -> bool:
        """Whether the user requested it, rather than that it would otherwise be lost with the pod."""

    def store(self, attempt: str) -> Dir:
        """Call the trace that stores the directory. Blocks.

        Args:
            attempt: Identifies the attempt of the task: Flyte replays the traces of earlier attempts.
        """

    async def store_async(self, attempt: str) -> Dir:
        """`store` without blocking the event loop."""

    def report_stored(self, uri: str) -> None:
        """Log where it is stored."""

    def report_failure(self, failure: Exception) -> None:
        """Log that storing it failed, and what to do."""

    def report_skipped(self, reason: str) -> None:
        """Log that it was not stored, and what to do."""


@dataclass(frozen=True)
class DownloadedLogs:
    """The files of a finished run or sweep, downloaded from W&B by a trace. Base of a `TraceOutput` for each."""

    kind: ClassVar[str]
    """Its kind, "run" or "sweep"; also the subcommand that downloads it."""
    logger: ClassVar[logging.Logger]

    name: str
    """`entity/project/id`."""
    host: str
    connection: Connection | None = None
    """How the server is reached, if not as the environment says. The user's code or configuration has named it."""
    is_requested: bool = True

    def store(self, attempt: str) -> Dir:
        """Download and store the files; see `TraceOutput`."""
        traces = self.load_traces()
        with self._connected():
            return self.call(traces, attempt)

    async def store_async(self, attempt: str) -> Dir:
        """Download and store the files without blocking the event loop."""
        traces = await to_thread(self.load_traces)
        with self._connected():
            return await self.call_async(traces, attempt)

    def load_traces(self) -> ModuleType:
        """Import the module with the traces, which takes long."""
        raise NotImplementedError

    def call(self, traces: ModuleType, attempt: str) -> Dir:
        """Call the trace of sync tasks."""
        raise NotImplementedError

    async def call_async(self, traces: ModuleType, attempt: str) -> Dir:
        """Call the trace of async tasks."""
        raise NotImplementedError

    def _connected(self) -> AbstractContextManager[None]:
        # In the context rather than among the inputs of the trace, which Flyte shows: headers may be secret.
        from wandb_artifacts.client import Connection, use_connection

        return use_connection(self.connection or Connection(host=self.host))

    def report_stored(self, uri: str) -> None:
        """Log where the files are stored."""
        self.logger.info("Stored the files of W&B %s %s as the output of a trace: %s", self.kind, self.name, uri)

    def report_failure(self, failure: Exception) -> None:
        """Log why downloading or storing failed."""
        self.logger.error(
            "Cannot download the files of W&B %s %s for Flyte (%s: %s). %s",
            self.kind,
            self.name,
            type(failure).__name__,
            failure,
            self._advice,
        )

    def report_skipped(self, reason: str) -> None:
        """Log why the files were not downloaded."""
        self.logger.warning(
            "The files of W&B %s %s were not downloaded: %s. %s", self.kind, self.name, reason, self._advice
        )

    @property
    def _advice(self) -> str:
        command = f"WANDB_BASE_URL={self.host} wandb-artifacts {self.kind} {self.name}"
        return f"They are still on W&B: download them with `{command}`"


def store_output(output: TraceOutput | None, error: BaseException | None = None) -> None:
    """Store a directory as the output of a trace, if there is a task that can have it. Failures are logged.

    Args:
        output: The directory, or None.
        error: What the body raised.
    """
    if output is None or (attempt := _attempt(output, error)) is None:
        return
    try:
        stored = output.store(attempt)
    except Exception as failure:  # noqa: BLE001
        output.report_failure(failure)
    else:
        output.report_stored(stored.path)


async def store_output_async(output: TraceOutput | None, error: BaseException | None = None) -> None:
    """`store_output` for coroutine functions. When cancelled, it logs that and ends at once."""
    if output is None or (attempt := _attempt(output, error)) is None:
        return
    try:
        stored = await output.store_async(attempt)
    except Exception as failure:  # noqa: BLE001
        output.report_failure(failure)
    except BaseException as end:
        output.report_skipped(_ended_by(end))
        raise
    else:
        output.report_stored(stored.path)


def _attempt(output: TraceOutput, error: BaseException | None) -> str | None:
    """Return the attempt to store the output for; None if it is not stored."""
    task = current_task()
    if not output.is_requested and (task is None or task.is_local):
        return None
    if task is None:
        reason = "only a Flyte task can store them"
    elif is_launched(os.environ):
        reason = "Flyte accepts no files from the worker processes of a distributed task"
    elif is_stopping() or not (error is None or isinstance(error, (Exception, SystemExit))):
        reason = _ended_by(error)
    else:
        return task.attempt_key
    output.report_skipped(reason)
    return None


def _ended_by(error: BaseException | None) -> str:
    return "the task is being stopped" if is_stopping() else f"{type(error).__name__} ended the task"
