"""What functions that host W&B's work need to know of their process and their action; shared with wandb-sweeps."""

from wandb_runtime._current import in_trial
from wandb_runtime._exclusive import exclusive, is_mine, is_taken, opening
from wandb_runtime._keeping import Keepable, keep, keep_async
from wandb_runtime._off_loop import in_thread, off_loop
from wandb_runtime._opening import advice_on, in_one_line, require_key_of_server
from wandb_runtime._questions import connect, despite_teardown
from wandb_runtime._references import read_reference
from wandb_runtime._stopping import (
    EXIT_CODE,
    Closable,
    exit_code_of,
    is_stopping,
    listen,
    until_stopped,
    watched,
)
from wandb_runtime._task import TaskIdentity, current_task

__all__ = [
    "EXIT_CODE",
    "Closable",
    "Keepable",
    "TaskIdentity",
    "advice_on",
    "connect",
    "current_task",
    "despite_teardown",
    "exclusive",
    "exit_code_of",
    "in_one_line",
    "in_thread",
    "in_trial",
    "is_mine",
    "is_stopping",
    "is_taken",
    "keep",
    "keep_async",
    "listen",
    "off_loop",
    "opening",
    "read_reference",
    "require_key_of_server",
    "until_stopped",
    "watched",
]
