"""The constants that an agent and the processes of its trials share."""

from __future__ import annotations

import signal

STOP = "stop"
"""W&B has decided to end the trial."""
PREEMPT = "preempt"
"""The platform is about to end the agent."""

GRACE_PERIODS = {STOP: 2.0, PREEMPT: 8.0}
"""Seconds that an objective has for its `finally` blocks before the worker closes its run."""
CLOSE_TIMEOUT = 10.0
"""Seconds that closing the run may take."""
EXIT_CODES = {STOP: 1, PREEMPT: 128 + signal.SIGTERM}


def close_run() -> None:
    """End the run of a trial whose process has died, as failed; this runs in place of the objective."""
    import wandb

    settings = {"console": "off", "silent": True, "finish_timeout": CLOSE_TIMEOUT, "init_timeout": CLOSE_TIMEOUT}
    wandb.init(resume="allow", settings=settings).finish(exit_code=1)
