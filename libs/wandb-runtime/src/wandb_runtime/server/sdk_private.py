"""Private wandb SDK APIs, isolated here. Canary tests in `tests/e2e/test_open_errors.py` fail if they change."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import wandb
from wandb.sdk import wandb_setup
from wandb.sdk.lib import module
from wandb.sdk.lib.asyncio_manager import AlreadyJoinedError
from wandb.sdk.lib.service.service_connection import WandbAttachFailedError
from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError
from wandb.sdk.wandb_init import _set_global_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb import Run

_EXIT_TIMEOUT = 10
# A lost connection to W&B's server raises none of these: the service process reports that as text.
_TORN_DOWN = (MailboxClosedError, HandleAbandonedError, AlreadyJoinedError, ConnectionError)


def set_global_run(run: Run | None) -> None:
    """Set `wandb.run`, `wandb.log` and related functions to those of a run, or unset them.

    `wandb.init` does it only for `reinit` values that end other runs of the process.
    """
    if run is None:
        module.unset_globals()  # type: ignore[no-untyped-call]
    else:
        _set_global_run(run)


@contextlib.contextmanager
def separate_session() -> Iterator[None]:
    """Give the code inside a process in which wandb has not been used yet, and end what it leaves open.

    Runs that are already open keep their connection to their service process, and continue to log. Code that ends "all
    runs of the process", as `wandb.teardown()` and the SDK's sweep agents do, does not see them.
    """
    run = wandb.run
    with wandb_setup._singleton_lock:  # noqa: SLF001
        session, wandb_setup._singleton = wandb_setup._singleton, None  # noqa: SLF001
    service = os.environ.pop("WANDB_SERVICE", None)
    set_global_run(None)
    try:
        yield
    finally:
        wandb.teardown()
        with wandb_setup._singleton_lock:  # noqa: SLF001
            wandb_setup._singleton = session  # noqa: SLF001
        if service is not None:
            os.environ["WANDB_SERVICE"] = service
        set_global_run(run)
        # A run that ends from now on unsets `wandb.run`; a run that has ended meanwhile could not.
        if run is not None and run._is_finished:  # noqa: SLF001
            set_global_run(None)
        _forget_finished_runs()


def _forget_finished_runs() -> None:
    """Remove runs that ended while the session was replaced: it still lists them, and wandb.init would return one."""
    session = wandb_setup._singleton  # noqa: SLF001
    if session is None:
        return
    for run in list(session._active_runs):  # noqa: SLF001
        if run._is_finished:  # noqa: SLF001
            session.remove_active_run(run)


def is_torn_down(error: BaseException | None) -> bool:
    """Whether a request failed because `wandb.teardown()` came before its response.

    Sweep agents of the SDK call it. Only the context of the exception shows it.
    """
    while error is not None:
        if isinstance(error, _TORN_DOWN):
            return True
        error = error.__context__
    return False


def detach_inherited_service() -> None:
    """Let this process start a separate service process, instead of using that of its parent process."""
    token = re.match(r"\d+-(\d+)-", os.environ.get("WANDB_SERVICE", ""))
    if token is not None and int(token[1]) != os.getpid():
        del os.environ["WANDB_SERVICE"]


def forget_failed_run(run_id: str) -> None:
    """Let `wandb.init` be called again with an id that it failed to open.

    The SDK's service process keeps the id of a run that failed to open as "in use", and hangs when it ends if such a
    run is dropped without an exit.
    """
    service = wandb.setup().assert_service()
    try:
        _, failed = service.inform_attach(attach_id=run_id)
    except WandbAttachFailedError:
        return
    failed.deliver_exit(1).wait_or(timeout=_EXIT_TIMEOUT)
    service.inform_finish(run_id=run_id)


def is_unavailable(error: Exception) -> bool:
    """Whether `wandb.init` gave up retrying, rather than being refused.

    Its exceptions carry no status; only their texts show whether it has retried.
    """
    return isinstance(error, wandb.errors.Error) and any(
        mark in str(error).lower() for mark in ("timed out", "deadline exceeded", "giving up after")
    )


def is_refusal(error: Exception) -> bool:
    """Whether the server refused to open a run; determined by trying which exceptions mean that."""
    return type(error) is wandb.errors.CommError or (
        isinstance(error, wandb.errors.Error) and str(error).startswith("Error initializing run")
    )
