"""Requests through `wandb.Api`, for the parts of wandb-sweeps that do not use the client of wandb-artifacts yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb.apis.public import Api

T = TypeVar("T")

_ATTEMPTS = 3


def connect(host: str | None, timeout: float) -> Api:
    """Connect to a server with one request, which checks the API key.

    Args:
        host: The API base URL of the server; None for the configured one.
        timeout: Seconds that each request may take.

    Raises:
        Exception: The key is missing or refused, or the server does not respond; the SDK has no common class for it.
    """
    import wandb

    # `wandb.Api` would start the service process outside of the lock that `wandb.teardown()` takes, which then does
    # not see a process that is just being started: nothing would end it.
    wandb.setup()
    return wandb.Api(overrides={"base_url": host} if host else {}, timeout=int(timeout))


def despite_teardown(request: Callable[[], T]) -> T:
    """Repeat requests that `wandb.teardown()` has interrupted: sweep agents of the SDK call it.

    Args:
        request: Connects, and sends requests that may be sent twice.

    Raises:
        Exception: What `request` raised for another reason, or in the last attempt.
    """
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        try:
            return request()
        except Exception as error:
            if not attempts or not _is_torn_down(error):
                raise


def _is_torn_down(error: BaseException | None) -> bool:
    """Whether `wandb.teardown()` has interrupted a request; only the context of the exception shows it."""
    from wandb.sdk.lib.asyncio_manager import AlreadyJoinedError
    from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

    # A lost connection to W&B's server raises none of these: the service process reports that as text.
    torn_down = (MailboxClosedError, HandleAbandonedError, AlreadyJoinedError, ConnectionError)
    while error is not None:
        if isinstance(error, torn_down):
            return True
        error = error.__context__
    return False
