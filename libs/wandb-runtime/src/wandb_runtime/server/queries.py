"""Requests to the W&B server, each bounded in time, through the SDK's public API (`wandb.Api`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb.apis.public import Api, Run

T = TypeVar("T")

_ATTEMPTS = 3
ACCEPTED = 200


def key_status(host: str, *, timeout: int) -> int | None:
    """Return the HTTP status of a request that only needs the API key.

    Args:
        host: The API base URL of the server.
        timeout: Seconds that the request may take.

    Returns:
        The status; None if there was no response.
    """
    try:
        connect(host, timeout)
    except Exception as error:  # noqa: BLE001
        # AuthenticationError says nothing: it is raised where nobody has looked at the key, too.
        response = getattr(error.__cause__, "response", None)
        return getattr(response, "http_status", None) or None
    return ACCEPTED


def run_state(host: str, entity: str, project: str, run_id: str, *, timeout: int) -> str | None:
    """The state in which the server has a run; None if it does not know the run.

    Asked as a list, which carries neither the run's config nor its summary.

    Raises:
        Exception: The server refuses or does not answer; the SDK has no common class for that.
    """
    return despite_teardown(lambda: _state_of_run(host, entity, project, run_id, timeout))


def _state_of_run(host: str, entity: str, project: str, run_id: str, timeout: int) -> str | None:
    found = connect(host, timeout).runs(f"{entity}/{project}", {"name": run_id}, per_page=1)
    return next((run.state for run in found), None)


def find_run(host: str, path: str, *, timeout: int) -> Run:
    """A run on the server, with its config and tags.

    Raises:
        Exception: The server has no such run, refuses or does not answer.
    """
    return despite_teardown(lambda: connect(host, timeout).run(path))


def default_entity(host: str, *, timeout: int) -> str | None:
    """The entity that the API key's owner logs to where none is named.

    Raises:
        Exception: The server refuses or does not answer.
    """
    entity: str | None = despite_teardown(lambda: connect(host, timeout).default_entity)
    return entity


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
