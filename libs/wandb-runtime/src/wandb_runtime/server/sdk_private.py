"""Private wandb SDK APIs, isolated here.

The tests named `test_canary_…` in tests/e2e/test_open_errors.py fail if they change.

| private name | reason |
|---|---|
| `wandb_init._set_global_run`, `module.unset_globals` | `wandb.run` and `wandb.log` follow the task; no public setter |
| `wandb_setup._singleton`, `_singleton_lock`, `_active_runs`, `Run._is_finished` | an SDK sweep agent ends all runs |
| `Run._is_finished`, `_exit_code`, `_wl`, `ServiceConnection._torn_down` | a body may end its run, or wandb itself |
| `Config._set_settings`, `Settings._jupyter` | `allow_val_change` of `wandb.init` has no effect after opening |
| `ServiceConnection._proc`, `_cleanup`, `ServiceProcess._process` | a service process that hangs or has died |
| `Run._interface`, `_deliver_artifact`, `_publish_artifact`, `get_staging_dir` | refused artifacts are kept |
| `Run._public_api` | the first artifact of a run cannot be logged in an outage; `wandb.Api` with the run's key |
| `WANDB_SERVICE` | the ranks of a launcher must not share its service process |
| `service.inform_attach`, `inform_finish`, `deliver_exit` | an id whose opening failed stays in use otherwise |
| texts of `wandb.errors` | they alone distinguish an outage from a refusal |
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import wandb
from wandb.sdk import wandb_setup
from wandb.sdk.artifacts.staging import get_staging_dir
from wandb.sdk.lib import module
from wandb.sdk.lib.service.service_connection import WandbAttachFailedError
from wandb.sdk.wandb_init import _set_global_run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from wandb import Run

_EXIT_TIMEOUT = 10


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


class _AsInNotebooks:
    """Settings with which a run's config accepts changes, as it does in notebooks."""

    _jupyter = True


def allow_config_changes(run: Run) -> None:
    """Let `run.config[key] = value` and `run.config.update(...)` change existing values of a run."""
    run.config._set_settings(_AsInNotebooks())  # type: ignore[no-untyped-call]  # noqa: SLF001


def has_ended(run: Run) -> bool:
    """Whether a run object was finished, or its service was shut down."""
    # A disabled run is an object without a service.
    return not run.disabled and (run._is_finished or _is_torn_down(run))  # noqa: SLF001


def _is_torn_down(run: Run) -> bool:
    session = run._wl  # noqa: SLF001
    return session is not None and session._connection is not None and session._connection._torn_down  # noqa: SLF001


def exit_code_of(run: Run) -> int | None:
    """Return the exit code that an ended run object has sent; None if unknown."""
    return run._exit_code  # noqa: SLF001


def reason_of_end(run: Run) -> str:
    """Describe what has probably ended a run object."""
    if _is_torn_down(run):
        return "wandb.teardown()"
    if wandb.run is not None and wandb.run is not run:
        return f"wandb.init(), which opened run {wandb.run.id}"
    return "run.finish(), `with run:` or wandb.init(reinit=True)"


def observe_artifacts(run: Run, observe: Callable[[Any], Callable[[Callable[[], str]], object]]) -> None:
    """Call `observe` with the record of each artifact before a run sends it.

    Args:
        run: An open run.
        observe: May change the record. What it returns is called for an artifact that is sent to W&B, with a function
            that waits for the response and returns its error message, which is empty if W&B has stored the artifact.
    """
    interface: Any = run._interface  # noqa: SLF001
    deliver, publish = interface._deliver_artifact, interface._publish_artifact  # noqa: SLF001

    def deliver_observed(request: Any) -> Any:
        await_response = observe(request.artifact)
        handle = deliver(request)
        await_response(lambda: str(handle.wait_or(timeout=None).response.log_artifact_response.error_message))
        return handle

    def publish_observed(record: Any) -> None:
        observe(record)
        publish(record)

    interface._deliver_artifact, interface._publish_artifact = deliver_observed, publish_observed  # noqa: SLF001


def prepare_for_artifacts(run: Run) -> None:
    """Do now what a run does when it logs its first artifact, which fails while W&B is unreachable."""
    public_api(run)


def public_api(run: Run) -> Any:
    """Return a `wandb.Api` that reaches the server of a run, with its key."""
    return run._public_api()  # noqa: SLF001


def staging_directory() -> str:
    """Return where the SDK copies the contents of artifacts to, until it has sent them."""
    return str(get_staging_dir())


def _forget_finished_runs() -> None:
    """Remove runs that ended while the session was replaced: it still lists them, and wandb.init would return one."""
    session = wandb_setup._singleton  # noqa: SLF001
    if session is None:
        return
    for run in list(session._active_runs):  # noqa: SLF001
        if run._is_finished:  # noqa: SLF001
            session.remove_active_run(run)


def forget_dead_service() -> None:
    """Let `wandb.init` start a new service process if that of this process has died."""
    session = wandb_setup._singleton  # noqa: SLF001
    process = _service_process(session)
    if session is not None and process is not None and process.poll() is not None:
        _forget_service(session)


def kill_service(run: Run) -> None:
    """Kill the service process of a run, which does not respond; `wandb.init` will start a new one."""
    session = run._wl  # noqa: SLF001
    if process := _service_process(session):
        process.kill()
        process.wait()
    if session is not None:
        _forget_service(session)


def _service_process(session: wandb_setup._WandbSetup | None) -> subprocess.Popen[bytes] | None:
    connection = session and session._connection  # noqa: SLF001
    return connection._proc._process if connection and connection._proc else None  # noqa: SLF001


def _forget_service(session: wandb_setup._WandbSetup) -> None:
    with wandb_setup._singleton_lock:  # noqa: SLF001
        if wandb_setup._singleton is session:  # noqa: SLF001
            wandb_setup._singleton = None  # noqa: SLF001
    os.environ.pop("WANDB_SERVICE", None)
    if session._connection is not None and session._connection._cleanup is not None:  # noqa: SLF001
        session._connection._cleanup()  # noqa: SLF001


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
