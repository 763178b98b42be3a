"""What Flyte keeps of a run that W&B does not have: its directory, which would be gone with the pod."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from wandb_runtime._delivery import say_lost
from wandb_runtime._ranks import is_launched
from wandb_runtime._task import current_task

if TYPE_CHECKING:
    from wandb_runtime._delivery import LocalRun

_logger = logging.getLogger("wandb_runtime")


def keep(local: LocalRun | None, error: BaseException | None = None) -> None:
    """Uploads the directory of a run as the output of a trace, in a remote task. Never raises.

    Args:
        local: A run that W&B does not have, or None.
        error: What the body has raised.
    """
    if local is None or (attempt := _attempt(local, error)) is None:
        return
    from wandb_runtime import _traces

    try:
        uploaded = _traces.wandb_run_directory_sync(local.directory, attempt)
    except Exception as failure:  # noqa: BLE001
        _say_failed(local, failure)
    else:
        _say_kept(local, uploaded.path)


async def keep_async(local: LocalRun | None, error: BaseException | None = None) -> None:
    """`keep` for coroutine functions."""
    if local is None or (attempt := _attempt(local, error)) is None:
        return
    from wandb_runtime import _traces

    try:
        uploaded = await _traces.wandb_run_directory(local.directory, attempt)
    except Exception as failure:  # noqa: BLE001
        _say_failed(local, failure)
    else:
        _say_kept(local, uploaded.path)


def _attempt(local: LocalRun, error: BaseException | None) -> int | None:
    """The attempt to keep the directory for; None if it is not to be kept, or cannot be."""
    task = current_task()
    if task is None or task.is_local:
        return None
    if is_launched(os.environ):
        reason = "Flyte takes no files from the workers of a distributed task"
    elif error is None or isinstance(error, (Exception, SystemExit)):
        return task.attempt or 0
    else:
        reason = f"the task was ended by {type(error).__name__}"
    say_lost(local, reason)
    return None


def _say_kept(local: LocalRun, uri: str) -> None:
    _logger.warning(
        "W&B run %s is kept by Flyte, as the output of a trace: %s. Download that; %s",
        local.name,
        uri,
        local.delivered_by(os.path.basename(local.directory)),  # noqa: PTH119
    )


def _say_failed(local: LocalRun, failure: Exception) -> None:
    _logger.error(
        "W&B run %s could not be kept by Flyte (%s: %s): it exists only in %s, and will be gone with this container",
        local.name,
        type(failure).__name__,
        failure,
        local.directory,
    )
