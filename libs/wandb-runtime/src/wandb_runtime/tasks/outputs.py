"""What Flyte keeps of a task's run or sweep when it is over: as a directory that is the output of a trace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from wandb_runtime._ranks import is_launched
from wandb_runtime._stopping import is_stopping
from wandb_runtime._task import current_task

if TYPE_CHECKING:
    from flyte.io import Dir


class Keepable(Protocol):
    """What there is to keep, and what to say about it."""

    @property
    def is_asked_for(self) -> bool:
        """Whether the user wants it as an output, rather than that it would be lost with its pod."""

    def store(self, attempt: str) -> Dir:
        """Calls the trace that stores it. Blocks.

        Args:
            attempt: What tells this attempt of the task from others: Flyte replays the traces of earlier ones.
        """

    async def store_async(self, attempt: str) -> Dir:
        """`store` without blocking the event loop."""

    def say_kept(self, uri: str) -> None:
        """Says where it is."""

    def say_failed(self, failure: Exception) -> None:
        """Says that it could not be stored, and what to do."""

    def say_lost(self, reason: str) -> None:
        """Says that it was not tried, and what to do."""


def keep(what: Keepable | None, error: BaseException | None = None) -> None:
    """Stores something as the output of a trace, where there is a task to have it. Raises nothing by itself.

    Args:
        what: The thing, or None.
        error: What the body has raised.
    """
    if what is None or (attempt := _attempt(what, error)) is None:
        return
    try:
        stored = what.store(attempt)
    except Exception as failure:  # noqa: BLE001
        what.say_failed(failure)
    else:
        what.say_kept(stored.path)


async def keep_async(what: Keepable | None, error: BaseException | None = None) -> None:
    """`keep` for coroutine functions. When it is cancelled it says so, and ends at once."""
    if what is None or (attempt := _attempt(what, error)) is None:
        return
    try:
        stored = await what.store_async(attempt)
    except Exception as failure:  # noqa: BLE001
        what.say_failed(failure)
    except BaseException as end:
        what.say_lost(_ended_by(end))
        raise
    else:
        what.say_kept(stored.path)


def _attempt(what: Keepable, error: BaseException | None) -> str | None:
    """The attempt to keep it for; None if it is not to be kept, or cannot be."""
    task = current_task()
    if not what.is_asked_for and (task is None or task.is_local):
        return None
    if task is None:
        reason = "there is no Flyte task to keep them"
    elif is_launched(os.environ):
        reason = "Flyte takes no files from the workers of a distributed task"
    elif is_stopping() or not (error is None or isinstance(error, (Exception, SystemExit))):
        reason = _ended_by(error)
    else:
        return task.attempt_key
    what.say_lost(reason)
    return None


def _ended_by(error: BaseException | None) -> str:
    return "the task is being stopped" if is_stopping() else f"the task was ended by {type(error).__name__}"
