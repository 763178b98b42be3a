"""Ending the run of a trial from the task that started it. The functions block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_runtime.lifecycle import process_lock
from wandb_runtime.lifecycle.opening import connection_for, open_run
from wandb_runtime.lifecycle.session import RunSession
from wandb_runtime.tasks.shutdown import interrupt

if TYPE_CHECKING:
    from wandb_runtime.lifecycle.sweep_trials import AssignedTrial

_TIMEOUT = 15.0


def close_trial(trial: AssignedTrial, exit_code: int) -> None:
    """End the run of a trial whose task could not, and which has ended.

    Args:
        trial: The trial; its run may never have been opened.
        exit_code: 0 marks the run as finished, another one as failed.

    Raises:
        RunOpenError: W&B is unreachable, or refused the request.
    """
    settings = {**trial.settings, "console": "off", "silent": True}
    limits = {"finish_timeout": _TIMEOUT, "init_timeout": _TIMEOUT}
    init = {"mode": "online"}
    trial.apply_to(init)
    with process_lock.shared():
        run = open_run(init, {**settings, **limits}, connection_for(settings))
    run.finish(exit_code=exit_code)


def interrupt_trial(trial: AssignedTrial) -> None:
    """Raise SystemExit in the body of a sync task that is this trial, if it runs in this process."""
    interrupt(lambda session: isinstance(session, RunSession) and session.location.id == trial.run_id)
