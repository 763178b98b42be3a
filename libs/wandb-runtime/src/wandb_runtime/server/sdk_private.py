"""What has no public way in the wandb SDK. `tests/e2e/test_open_errors.py` notices when it moves."""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from typing import TYPE_CHECKING

import wandb
from wandb.sdk import wandb_setup
from wandb.sdk.lib import module, wbauth
from wandb.sdk.lib.asyncio_manager import AlreadyJoinedError
from wandb.sdk.lib.service.service_connection import WandbAttachFailedError
from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError
from wandb.sdk.wandb_init import _set_global_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb import Run

_EXIT_TIMEOUT = 10
# A lost connection to W&B's server is none of these: that is the service process's own, which tells of it in words.
_TORN_DOWN = (MailboxClosedError, HandleAbandonedError, AlreadyJoinedError, ConnectionError)


def set_global_run(run: Run | None) -> None:
    """Makes `wandb.run`, `wandb.log` and their kin those of a run, or of none.

    `wandb.init` does it only for `reinit` values that end other runs of the process.
    """
    if run is None:
        module.unset_globals()  # type: ignore[no-untyped-call]
    else:
        _set_global_run(run)


@contextlib.contextmanager
def separate_session() -> Iterator[None]:
    """Lets the code inside find a process in which wandb has not been used yet, and ends what it leaves open.

    The runs that are open keep their connection to the service process that has been theirs, and go on logging; code
    that ends "all runs of the process", as `wandb.teardown()` and the SDK's sweep agents do, does not know of them.
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
        # A run that ends from now on leaves `wandb.run` by itself; one that has ended meanwhile was not there.
        if run is not None and run._is_finished:  # noqa: SLF001
            set_global_run(None)
        _forget_finished_runs()


def _forget_finished_runs() -> None:
    """Those that have ended while the session was set aside are not told to it; wandb.init would return one."""
    session = wandb_setup._singleton  # noqa: SLF001
    if session is None:
        return
    for run in list(session._active_runs):  # noqa: SLF001
        if run._is_finished:  # noqa: SLF001
            session.remove_active_run(run)


def is_torn_down(error: BaseException | None) -> bool:
    """Whether a question has failed because `wandb.teardown()` came before its answer.

    Sweep agents of the SDK call it. What it has broken off is told by the context of the exception alone.
    """
    while error is not None:
        if isinstance(error, _TORN_DOWN):
            return True
        error = error.__context__
    return False


def detach_inherited_service() -> None:
    """Lets this process start a service of its own, if it has none yet and would use that of the process above it."""
    token = re.match(r"\d+-(\d+)-", os.environ.get("WANDB_SERVICE", ""))
    if token is not None and int(token[1]) != os.getpid():
        del os.environ["WANDB_SERVICE"]


def resolve_host(host: str | None) -> str:
    """The API address of the server for a run that was given `host`.

    The SDK keeps the address of the run it has opened last as that of all that follow and give none.
    """
    return host or os.environ.get("WANDB_BASE_URL") or _configured_address()


@cache
def _configured_address() -> str:
    """The address in the user's settings files, or W&B's own; asked for before the first run is opened."""
    return wandb.setup().settings.base_url


def has_credentials(host: str) -> bool:
    """Whether `wandb.init` would find a key, in the environment, the settings or netrc, without asking for one.

    `wandb.login(prompt=False)` says so too, but not while a run is open, and it writes the host to a settings file.

    Raises:
        wandb.errors.AuthenticationError: There is a key that cannot be one.
    """
    found = wbauth.authenticate_session(host=host, source="wandb_init", prompt=False, update_session=False)
    return found is not None


def forget_failed_run(run_id: str) -> None:
    """Lets `wandb.init` be called again with an id it has failed for.

    The SDK's service process keeps the id of a run whose opening failed as "in use", and hangs at its own end if such
    a run is dropped without an exit.
    """
    service = wandb.setup().assert_service()
    try:
        _, failed = service.inform_attach(attach_id=run_id)
    except WandbAttachFailedError:
        return
    failed.deliver_exit(1).wait_or(timeout=_EXIT_TIMEOUT)
    service.inform_finish(run_id=run_id)


def is_unavailable(error: Exception) -> bool:
    """Whether `wandb.init` gave up retrying, rather than having been refused.

    Its exceptions carry no status; what it retries and what it does not is told by their texts alone.
    """
    return isinstance(error, wandb.errors.Error) and any(
        mark in str(error).lower() for mark in ("timed out", "deadline exceeded", "giving up after")
    )


def is_refusal(error: Exception) -> bool:
    """Whether the server has refused to open a run; which exceptions say so, and no others, was measured."""
    return type(error) is wandb.errors.CommError or (
        isinstance(error, wandb.errors.Error) and str(error).startswith("Error initializing run")
    )
