"""Questions to the W&B server, each bounded in time. They go through the SDK's public API; see `wandb.Api`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_runtime._questions import connect, despite_teardown

if TYPE_CHECKING:
    from wandb.apis.public import Run

ACCEPTED = 200


def status_of_key(host: str, *, timeout: int) -> int | None:
    """What the server answers to a request that only needs the API key.

    Args:
        host: The API address of the server.
        timeout: Seconds that the question may take.

    Returns:
        An HTTP status; None where there was no answer.
    """
    try:
        connect(host, timeout)
    except Exception as error:  # noqa: BLE001
        # AuthenticationError says nothing: it is raised where nobody has looked at the key, too.
        response = getattr(error.__cause__, "response", None)
        return getattr(response, "http_status", None) or None
    return ACCEPTED


def state_of_run(host: str, entity: str, project: str, run_id: str, *, timeout: int) -> str | None:
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
