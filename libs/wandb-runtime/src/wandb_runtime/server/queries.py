"""Requests to the W&B server, each bounded in time, through the SDK's public API (`wandb.Api`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb.apis.public import Api

T = TypeVar("T")

_ATTEMPTS = 3


def connect(host: str | None, timeout: float) -> Api:
    """Connects to a server; makes one request, which checks the API key.

    Args:
        host: The API location of the server; None for the one that is configured.
        timeout: Seconds that each request may take.

    Raises:
        Exception: There is no key, the server refuses it, or does not answer; the SDK has no common class for it.
    """
    import wandb

    # `wandb.Api` would start the service process outside of the lock that `wandb.teardown()` takes, which then does
    # not see a process that is just being started: nobody would end it.
    wandb.setup()
    return wandb.Api(overrides={"base_url": host} if host else {}, timeout=int(timeout))


def despite_teardown(ask: Callable[[], T]) -> T:
    """Asks again where `wandb.teardown()` came before the answer.

    Args:
        ask: Connects, and sends requests that may be sent twice.

    Raises:
        Exception: What `ask` has raised for another reason, or once too often.
    """
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        try:
            return ask()
        except Exception as error:
            from wandb_runtime.server import sdk_private

            if not attempts or not sdk_private.is_torn_down(error):
                raise
