"""Finish a run, verify that it was uploaded, and warn if not."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from wandb_artifacts import RunRef
from wandb_artifacts.client import Connection

from wandb_runtime.lifecycle.artifact_contents import add_artifacts, collect_artifacts
from wandb_runtime.lifecycle.delivery import find_problem, listed
from wandb_runtime.lifecycle.sent_artifacts import lacking_artifacts
from wandb_runtime.lifecycle.stored_secrets import remove_secrets
from wandb_runtime.lifecycle.sync_command import sync_arguments, sync_id
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.outputs import DownloadedLogs
from wandb_runtime.tasks.shutdown import is_stopping
from wandb_runtime.tasks.threads import submit, to_thread

if TYPE_CHECKING:
    from types import ModuleType

    from flyte.io import Dir
    from wandb import Run

    from wandb_runtime.tasks.outputs import TraceOutput

_logger = logging.getLogger("wandb_runtime")


# Seconds beyond finish_timeout, which the service process observes itself.
_FOR_THE_SERVICE = 5.0


@dataclass(frozen=True)
class LocalRun:
    """The local copy of a run, as a directory that a task can store."""

    name: str
    """`entity/project/id`, as far as known."""
    host: str
    directory: str
    is_offline: bool
    shared_by: str | None = None
    """The label of this writer, for a run with several."""
    is_requested: bool = False
    """Whether the user requested the run's files as an output of the task."""

    @classmethod
    def of(cls, run: Run) -> LocalRun:
        """Return the local copy of a run that is still open."""
        return cls(
            name="/".join(part for part in (run.entity, run.project, run.id) if part),
            host=run.settings.base_url,
            directory=os.path.dirname(run.dir),  # noqa: PTH120
            is_offline=run.offline,
            shared_by=(run.settings.x_label or "copy") if run.settings.mode == "shared" else None,
        )

    def sync_hint(self, directory: str | None = None) -> str:
        """Return the command that uploads the run from a copy of its directory, or from the local one."""
        run_id = None if self.shared_by is None else sync_id(self.name, self.shared_by)
        how = "" if run_id is None else ", as a separate run because other processes write to this one"
        arguments = sync_arguments(directory or self.directory, is_offline=self.is_offline, run_id=run_id)
        command = shlex.join(["wandb", *arguments])
        return f"upload it with `WANDB_BASE_URL={shlex.quote(self.host)} {command}`{how}"

    def store(self, attempt: str) -> Dir:
        """Upload the directory; see `TraceOutput`."""
        self._prepare()
        stored: Dir = _load_traces().wandb_run_directory_sync(self.directory, attempt, *self._origin)
        return stored

    async def store_async(self, attempt: str) -> Dir:
        """Upload the directory without blocking the event loop."""
        await to_thread(self._prepare)
        traces = await to_thread(_load_traces)
        stored: Dir = await traces.wandb_run_directory(self.directory, attempt, *self._origin)
        return stored

    @property
    def _origin(self) -> tuple[str, str, str]:
        return self.name, self.host, self.shared_by or ""

    def _prepare(self) -> None:
        """Prepare the directory for others than this machine and its user, unless it stays there."""
        task = current_task()
        if task is None or task.is_local:
            return
        try:
            collect_artifacts(self.directory)
        except Exception:
            _logger.exception("The contents of artifacts of W&B run %s are lost with this container", self.name)
        remove_secrets(self.directory, Connection(host=self.host))

    def report_stored(self, uri: str) -> None:
        """Log where the directory is, if that is not where it was."""
        if uri != self.directory:
            _logger.warning(
                "W&B run %s is stored in Flyte as the output of a trace: %s. Download that and %s",
                self.name,
                uri,
                self.sync_hint(os.path.basename(self.directory)),  # noqa: PTH119
            )

    def report_failure(self, failure: Exception) -> None:
        """Log that only this machine has the data of the run, because Flyte could not store it."""
        _logger.error(
            "Flyte could not store W&B run %s (%s: %s): it exists only in %s, and is lost with this container",
            self.name,
            type(failure).__name__,
            failure,
            self.directory,
        )

    def report_skipped(self, reason: str) -> None:
        """Log that only this container has the data of the run."""
        _logger.warning(
            "W&B run %s exists only in %s, and is lost with this container: %s", self.name, self.directory, reason
        )


@dataclass(frozen=True)
class RunLogs(DownloadedLogs):
    """The files of a finished run."""

    kind: ClassVar[str] = "run"
    logger: ClassVar[logging.Logger] = _logger

    last_step: int = -1
    """The last step that the run is known to have; -1 if unknown."""

    def load_traces(self) -> ModuleType:
        """Import the module with the traces."""
        return _load_traces()

    def call(self, traces: ModuleType, attempt: str) -> Dir:
        """Download and store the files in a sync task."""
        stored: Dir = traces.download_wandb_run_logs_sync(
            self.name, self.host, self.last_step, is_over=True, attempt=attempt
        )
        return stored

    async def call_async(self, traces: ModuleType, attempt: str) -> Dir:
        """Download and store the files in an async task."""
        stored: Dir = await traces.download_wandb_run_logs(
            self.name, self.host, self.last_step, is_over=True, attempt=attempt
        )
        return stored


def _load_traces() -> ModuleType:
    from wandb_runtime.lifecycle import traces

    return traces


def finish_for_download(run: Run, exit_code: int, connection: Connection | None) -> TraceOutput | None:
    """Finish a run whose files were requested. Never raises.

    Returns:
        What to store: the run's files on W&B, or the local copy if that is all there is.
    """
    last_step = -1 if is_stopping() else last_step_of(run)
    name, host = LocalRun.of(run).name, run.settings.base_url
    local = finish_run(run, exit_code, verify_by=connection)
    if local is not None:
        return replace(local, is_requested=True)
    if run.offline or run.disabled:
        return None
    logs = RunLogs(name, host, connection, last_step=last_step)
    if is_stopping():
        logs.report_skipped("the task is being stopped")
        return None
    return logs


def last_step_of(run: Run) -> int:
    """Return the last step logged to an open run; -1 if nothing was, or if others may log to it too."""
    with contextlib.suppress(Exception):
        return int(run.step) - 1
    return -1


def _finish(run: Run, exit_code: int) -> None:
    """Call `run.finish`, which waits for ever for a service process that does not respond.

    Raises:
        TimeoutError: It has not returned in time. The service process was killed: the next run starts a new one.
    """
    finishing, timeout = submit(lambda: run.finish(exit_code)), run.settings.finish_timeout
    limit = timeout + _FOR_THE_SERVICE if timeout > 0 else None
    if not concurrent.futures.wait([finishing], limit).done:
        from wandb_runtime.server import sdk_private

        sdk_private.kill_service(run)
        msg = f"wandb-core has not responded for {limit:g} s and was killed"
        raise TimeoutError(msg)
    finishing.result()


def finish_run(run: Run, exit_code: int, *, verify_by: Connection | None = None) -> LocalRun | None:
    """Close a run object, and verify that the server has the run's end. Never raises.

    Args:
        run: A run object of this process.
        exit_code: The exit code of the run, or of its use.
        verify_by: How the server is reached; None for a second writer, whose end is not that of the run.

    Returns:
        The local copy, if the server may lack some of its data, and if there is time to store it.
    """
    local = LocalRun.of(run)
    _leave_deleted_directory(local.directory)
    problem = None
    try:
        _finish(run, exit_code)
    except Exception as error:  # noqa: BLE001
        problem = f"{type(error).__name__}: {error}"
    else:
        if verify_by is not None and not (run.offline or run.disabled or is_stopping()):
            problem = find_problem(RunRef(run.entity, run.project, run.id), verify_by, local.directory)
    if not is_stopping():
        problem = "; ".join(filter(None, (problem, _keep_artifacts(run, local, has_ended=problem is None)))) or None
    if problem is not None:
        _logger.warning(
            "W&B run %s was not uploaded completely (%s). Its data is in %s; %s",
            local.name,
            problem,
            local.directory,
            local.sync_hint(),
        )
    if problem is None and not local.is_offline:
        return None
    if is_stopping():
        local.report_skipped("the task is being stopped")
        return None
    return local


def _leave_deleted_directory(existing: str) -> None:
    """Change the working directory if the body has deleted it: neither the SDK nor Flyte works without one."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            os.chdir(existing)


def _keep_artifacts(run: Run, local: LocalRun, *, has_ended: bool) -> str | None:
    """Complete the run's directory with the artifacts that W&B lacks; return which these are, and why."""
    lacking = lacking_artifacts(run, has_ended=has_ended)
    if not lacking:
        return None
    try:
        add_artifacts(local.directory, lacking)
    except Exception:
        _logger.exception("The contents of artifacts of W&B run %s are lost", local.name)
    names = {artifact.record.name for artifact in lacking}
    return f"the server lacks {'artifacts' if len(names) > 1 else 'artifact'} {listed(names)}: {lacking[0].reason}"
