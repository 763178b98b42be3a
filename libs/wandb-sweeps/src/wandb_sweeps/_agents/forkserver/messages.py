"""What an agent and the interpreters of its trials agree on."""

from __future__ import annotations

import signal

STOP = "stop"
"""W&B has decided to end the trial."""
PREEMPT = "preempt"
"""The platform is about to end the agent."""

PATIENCE = {STOP: 2.0, PREEMPT: 8.0}
"""Seconds that an objective has for its `finally` blocks, before its run is closed in its stead."""
FOR_CLOSING = 10.0
"""Seconds for that."""
EXIT_CODES = {STOP: 1, PREEMPT: 128 + signal.SIGTERM}


def close_run() -> None:
    """Stands in for an objective that has died: ends its run as failed."""
    import wandb

    settings = {"console": "off", "silent": True, "finish_timeout": FOR_CLOSING, "init_timeout": FOR_CLOSING}
    wandb.init(resume="allow", settings=settings).finish(exit_code=1)
