"""Hints at the first run of a user's task: what W&B accepts, and is probably not as intended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wandb_runtime.tasks.call_graph import calls_wandb_init

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from wandb import Run

_logger = logging.getLogger("wandb_runtime")

_OWN_INIT = (
    "%s calls wandb.init(), which returns the run that @wandb_init has opened and ignores all arguments: give them to "
    "@wandb_init(...) or wandb_config(...), and replace the call with get_wandb_run(required=True)"
)
_NO_PROJECT = (
    "W&B run %s is in the project %r, because no project is configured: set WANDB_PROJECT, or give it to "
    "@wandb_init(project=...) or wandb_config(project=...). `flyte run` does not execute the code below "
    '`if __name__ == "__main__":`'
)
_DEFAULT_PROJECT = "uncategorized"

_given: set[str] = set()


def hint_at_own_init(function: Callable[..., Any]) -> None:
    """Log, once for each function, that a call of `wandb.init` in a task's body has no effect."""
    name = f"{function.__module__}.{function.__qualname__}"
    if name in _given:
        return
    _given.add(name)
    if calls_wandb_init(function):
        _logger.warning(_OWN_INIT, name)


def hint_at_project(run: Run, init: Mapping[str, Any]) -> None:
    """Log, once for each process, that runs are in W&B's default project because no other one is configured."""
    if "project" not in init and run.project == _DEFAULT_PROJECT and _DEFAULT_PROJECT not in _given:
        _given.add(_DEFAULT_PROJECT)
        _logger.warning(_NO_PROJECT, run.id, _DEFAULT_PROJECT)
