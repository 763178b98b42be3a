"""Closing a run, and making sure that the server has it. What it does not have is said in one line."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import re
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_runtime._off_loop import in_thread, off_loop
from wandb_runtime._stopping import is_stopping

if TYPE_CHECKING:
    from types import ModuleType

    from flyte.io import Dir
    from wandb import Run

_logger = logging.getLogger("wandb_runtime")

_TIMEOUT = 10
# A server may need a moment until it shows an end that it was told of.
_PAUSES = (0.2, 0.5, 1.0, 2.0)
# `crashed`: the server has not heard from the run for long, nor of its end.
_OPEN_STATES = frozenset({"running", "pending", "crashed", "missing"})


@dataclass(frozen=True)
class LocalRun:
    """The local copy of a run."""

    name: str
    """`entity/project/id`, as far as known."""
    host: str
    directory: str
    is_offline: bool
    shared_by: str | None = None
    """What tells this writer from the others, of a run that has several."""
    is_asked_for: bool = False
    """Whether the user wants it as an output of the task, too."""

    @classmethod
    def of(cls, run: Run) -> LocalRun:
        """The copy of a run that is still open."""
        return cls(
            name="/".join(part for part in (run.entity, run.project, run.id) if part),
            host=run.settings.base_url,
            directory=os.path.dirname(run.dir),  # noqa: PTH120
            is_offline=run.offline,
            shared_by=(run.settings.x_label or "copy") if run.settings.mode == "shared" else None,
        )

    def delivered_by(self, directory: str | None = None) -> str:
        """What delivers the run from a copy of its directory, or from the local one, in words for a message."""
        options = [] if self.is_offline else ["--no-skip-online"]
        how = ""
        if self.shared_by is not None:
            # As itself, it would replace the other writers' rows.
            run_id = f"{self.name.rpartition('/')[2]}-{self.shared_by}"
            options += ["--id", re.sub(r"[^\w.-]", "-", run_id, flags=re.ASCII)]
            how = ", as a run of its own because others write to this one"
        command = shlex.join(["wandb", "sync", *options, directory or self.directory])
        return f"`WANDB_BASE_URL={shlex.quote(self.host)} {command}` delivers it{how}"

    def store(self, attempt: str) -> Dir:
        """Uploads the directory; see `Keepable`."""
        from wandb_runtime import _traces

        stored: Dir = _traces.wandb_run_directory_sync(self.directory, attempt)
        return stored

    async def store_async(self, attempt: str) -> Dir:
        """Uploads the directory."""
        traces = await off_loop(_load_traces)
        stored: Dir = await traces.wandb_run_directory(self.directory, attempt)
        return stored

    def say_kept(self, uri: str) -> None:
        """Says where it can be had, if that is not where it was."""
        if uri != self.directory:
            _logger.warning(
                "W&B run %s is kept by Flyte, as the output of a trace: %s. Download that; %s",
                self.name,
                uri,
                self.delivered_by(os.path.basename(self.directory)),  # noqa: PTH119
            )

    def say_failed(self, failure: Exception) -> None:
        """Warns that nothing but this machine has the data of a run, because Flyte did not take it."""
        _logger.error(
            "W&B run %s could not be kept by Flyte (%s: %s): it exists only in %s, and will be gone with this "
            "container",
            self.name,
            type(failure).__name__,
            failure,
            self.directory,
        )

    def say_lost(self, reason: str) -> None:
        """Warns that nothing but this container has the data of a run."""
        _logger.warning(
            "W&B run %s exists only in %s, and will be gone with this container: %s", self.name, self.directory, reason
        )


def _load_traces() -> ModuleType:
    from wandb_runtime import _traces

    return _traces


def deliver(run: Run, exit_code: int, *, ends_run: bool) -> LocalRun | None:
    """Closes a run, and asks the server whether it has reached its end there. Never raises.

    Args:
        run: A run object of this process.
        exit_code: How the run, or the use of it, has ended.
        ends_run: Whether closing the object ends the run; that of a second writer does not.

    Returns:
        The local copy, if it has what the server may not have, and if there is time to do something about it.
    """
    local = LocalRun.of(run)
    problem = None
    try:
        run.finish(exit_code)
    except Exception as error:  # noqa: BLE001
        problem = f"{type(error).__name__}: {error}"
    else:
        if ends_run and not (run.offline or run.disabled or is_stopping()):
            problem = _problem(run, local.host)
    if problem is not None:
        _logger.warning(
            "W&B run %s was not delivered completely (%s). Its data is in %s; %s",
            local.name,
            problem,
            local.directory,
            local.delivered_by(),
        )
    if problem is None and not local.is_offline:
        return None
    if is_stopping():
        local.say_lost("the task is being stopped")
        return None
    return local


def _problem(run: Run, host: str) -> str | None:
    """The SDK is silent when the server has refused a run's data: only the server can tell."""
    entity, project, run_id = run.entity, run.project, run.id
    question = in_thread(lambda: _final_state(host, entity, project, run_id))
    try:
        state = question.result(_TIMEOUT)
    except concurrent.futures.TimeoutError:
        return f"the server did not say within {_TIMEOUT} s whether it has the run"
    except Exception as error:  # noqa: BLE001 - the SDK has no common class, and the work is done
        return f"the server does not say whether it has the run, {type(error).__name__}: {error}"
    return None if state not in _OPEN_STATES else f"it is {state} on the server"


def _final_state(host: str, entity: str, project: str, run_id: str) -> str:
    from wandb_runtime import _server

    for pause in (*_PAUSES, None):
        state = _server.state_of_run(host, entity, project, run_id, timeout=_TIMEOUT) or "missing"
        if pause is None or state not in _OPEN_STATES:
            break
        time.sleep(pause)
    return state
