"""Exit codes of the command."""

from __future__ import annotations

import signal
from enum import IntEnum

from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    DeadlineError,
    DestinationError,
    InvalidValueError,
    NotFoundError,
    ServerAnswerError,
    ServerUnavailableError,
)


class Exit(IntEnum):
    COMPLETE = 0
    INCOMPLETE = 1
    USAGE = 2
    ACCESS = 3
    NOT_FOUND = 4
    SERVER = 5
    DESTINATION = 6
    BUG = 70
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


_CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Exit], ...] = (
    (InvalidValueError, Exit.USAGE),
    ((AuthenticationError, AccessDeniedError), Exit.ACCESS),
    (NotFoundError, Exit.NOT_FOUND),
    ((ServerUnavailableError, ServerAnswerError, DeadlineError), Exit.SERVER),
    (DestinationError, Exit.DESTINATION),
)


def code_of(error: Exception) -> Exit:
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), Exit.INCOMPLETE)
