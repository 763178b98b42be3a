"""What functions that host W&B's work need to know of their process and their action; shared with wandb-sweeps."""

from wandb_runtime._current import in_trial
from wandb_runtime._exclusive import exclusive, is_mine, is_taken, opening
from wandb_runtime._off_loop import in_thread, off_loop
from wandb_runtime._opening import advice_on, in_one_line, require_key_of_server
from wandb_runtime._questions import connect, despite_teardown
from wandb_runtime._stopping import EXIT_CODE, Closable, exit_code_of, is_stopping, listen, watched
from wandb_runtime._task import TaskIdentity, current_task

__all__ = [
    "EXIT_CODE",
    "Closable",
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
    "listen",
    "off_loop",
    "opening",
    "require_key_of_server",
    "watched",
]
