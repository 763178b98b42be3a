"""A run that stays open for its task, although other code may end the run object."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from wandb_runtime._errors import RunOpenError
from wandb_runtime.tasks.threads import submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb import Run

_logger = logging.getLogger("wandb_runtime")

# Seconds: the SDK may wait for ever for a service that was shut down.
_FOR_RELEASING = 5.0

_REOPENED = (
    "W&B run %s was ended by %s before its task ended. It is opened again and ends with the task: do not end it, "
    "@wandb_init does"
)
_NOT_REOPENED = "W&B run %s was ended by %s before its task ended, and cannot be opened again: %s"


class LiveRun:
    """The run object of a run that a task or function has opened.

    The body or a library may end it, by `run.finish()`, `with run:`, `wandb.init(reinit=True)` or `wandb.teardown()`.

    Args:
        run: The run object.
        reopen: Opens the run again. Blocks; raises `RunOpenError`.
        on_reopened: Called with the new run object.
    """

    def __init__(self, run: Run, reopen: Callable[[], Run], on_reopened: Callable[[Run], object]) -> None:
        self.run = run
        """The latest run object, which may have ended."""
        self._reopen = reopen
        self._on_reopened = on_reopened
        self._switching = threading.Lock()
        self._failure: RunOpenError | None = None
        self._is_closing = False

    @property
    def has_ended(self) -> bool:
        """Whether the run object accepts no more data."""
        from wandb_runtime.server import sdk_private

        return sdk_private.has_ended(self.run)

    def get(self) -> Run:
        """Return a run object that accepts data; opens the run again, with a warning, if other code has ended it.

        Raises:
            RunOpenError: It has ended and cannot be opened again.
        """
        if self.has_ended:
            with self._switching:
                self._ensure_open()
        return self.run

    def _ensure_open(self) -> None:
        if self._is_closing:
            msg = f"W&B run {self.run.id!r} has ended with its task"
            raise RunOpenError(msg)
        if self._failure is not None:
            raise self._failure
        if self.has_ended:
            from wandb_runtime.server import sdk_private

            run_id, reason = self.run.id, sdk_private.reason_of_end(self.run)
            try:
                self._open_again()
            except RunOpenError as error:
                self._failure = error
                _logger.warning(_NOT_REOPENED, run_id, reason, error)
                raise
            _logger.warning(_REOPENED, run_id, reason)

    def get_for_closing(self, exit_code: int) -> Run:
        """Return the run object to finish; opens the run again if it has ended with another exit code.

        From now on `get` does not open it again. Never raises.
        """
        from wandb_runtime.server import sdk_private

        with self._switching:
            self._is_closing = True
            if self.has_ended and self._failure is None and sdk_private.exit_code_of(self.run) != exit_code:
                try:
                    self._open_again()
                except RunOpenError as error:
                    reason = sdk_private.reason_of_end(self.run)
                    _logger.warning(_NOT_REOPENED, self.run.id, reason, error)
        return self.run

    def _open_again(self) -> None:
        # A run whose service was shut down still holds the console.
        with contextlib.suppress(Exception):
            submit(self.run.finish).result(_FOR_RELEASING)
        self.run = self._reopen()
        self._on_reopened(self.run)
