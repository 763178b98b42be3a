"""Opening a W&B run by `wandb.init`, with failures explained. Blocks."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wandb_artifacts.client import Connection

from wandb_runtime._errors import UnavailableError
from wandb_runtime.lifecycle import open_runs
from wandb_runtime.lifecycle.init_arguments import FLUSH_INTERVALS
from wandb_runtime.lifecycle.joining import update_config
from wandb_runtime.lifecycle.sent_artifacts import observe_artifacts
from wandb_runtime.server.diagnostics import RunRequest, explain_failure, redactor_for, require_api_key
from wandb_runtime.tasks.distributed import is_launched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb import Run

_logger = logging.getLogger("wandb_runtime")
# A child logger, so that its lines can be filtered apart from warnings about runs.
_waiting_logger = logging.getLogger(__name__)

_WAITING = (
    "Waiting for W&B at %s to open run %s; settings={'init_timeout': seconds} or WANDB_INIT_TIMEOUT sets the limit"
)


def connection_for(settings: Mapping[str, Any]) -> Connection:
    """Return how the server of a run is reached, for requests beside those of the SDK's own run.

    The host is resolved: the SDK would use the host of the run that it opened last for later runs without one.

    Raises:
        InvalidValueError: A setting is invalid.
    """
    connection = Connection.from_settings(settings)
    return replace(connection, host=connection.resolved().host)


@dataclass(frozen=True)
class Patience:
    """How long opening a run may take, in seconds, unless the user gives an `init_timeout`."""

    first: float = 8.0
    """Until the server must have opened the run, or respond to a small request within five seconds more. The SDK has
    waited for ten seconds before, to name the user: 20 seconds in all where nothing listens."""
    longest: float = 90.0
    """Until a server that responds must have opened the run: the SDK's default."""
    quiet: float = 5.0
    """Until a log line names the server."""


DEFAULT_PATIENCE = Patience()


def open_run(
    init: Mapping[str, Any],
    settings: Mapping[str, Any],
    connection: Connection,
    patience: Patience = DEFAULT_PATIENCE,
) -> Run:
    """Call `wandb.init` with these arguments.

    Raises:
        RunOpenError: It failed.
    """
    from wandb_runtime.server import sdk_private

    if is_launched(os.environ):
        # The launcher's service would take two ranks for one process, and a run of a killed rank for one in use.
        sdk_private.detach_inherited_service()
    sdk_private.forget_dead_service()
    request = RunRequest.of(init, connection)
    init = {**init, **_absolute_dir(init, settings)}
    require_api_key(request, init.get("mode"))
    # A fresh dictionary each time: wandb.init changes the settings object it is given.
    settings = {**settings, "base_url": request.host}
    with _waiting_logged(request, patience.quiet):
        if "init_timeout" in settings or os.environ.get("WANDB_INIT_TIMEOUT"):
            run = _init(init, settings, request)
        else:
            run = _init_patiently(init, settings, request, patience)
    observe_artifacts(run)
    if init.get("allow_val_change", run.resumed):
        allow_config_changes(run)
    return run


def _init_patiently(
    init: Mapping[str, Any], settings: Mapping[str, Any], request: RunRequest, patience: Patience
) -> Run:
    """Give up soon on a server that does not respond, and later on one that fails."""
    try:
        return _init(init, {**settings, "init_timeout": patience.first}, request)
    except UnavailableError:
        if not request.is_server_responding():
            raise
    return _init(init, {**settings, "init_timeout": patience.longest - patience.first}, request)


def _supported(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out defaults of this package that the SDK does not know. Values of the user stay, and raise."""
    import wandb

    missing = {name: value for name, value in FLUSH_INTERVALS.items() if name not in wandb.Settings.model_fields}
    return {name: value for name, value in settings.items() if name not in missing or missing[name] != value}


def _init(init: Mapping[str, Any], settings: dict[str, Any], request: RunRequest) -> Run:
    import wandb

    try:
        return wandb.init(**init, reinit="create_new", settings=_supported(settings))
    except Exception as error:  # noqa: BLE001 - explained, and logged without the key
        if isinstance(error, wandb.Error):
            _forget(init.get("id"))
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        _logger.debug("wandb.init failed: %s", redactor_for(request.connection)(trace))
        raise explain_failure(error, request) from None


@contextlib.contextmanager
def _waiting_logged(request: RunRequest, seconds: float) -> Iterator[None]:
    """Log what is waited for, if the block takes longer."""
    timer = threading.Timer(
        seconds, _waiting_logger.warning, (_WAITING, request.host, request.run_id or "of this function")
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _absolute_dir(init: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the directory of the run's local files, if one was given: the body may change the working directory."""
    given = init.get("dir") or settings.get("root_dir") or os.environ.get("WANDB_DIR")
    return {"dir": os.path.abspath(os.path.expanduser(given))} if given else {}  # noqa: PTH100, PTH111


def allow_config_changes(run: Run) -> None:
    """Let the body set values of `run.config` that an earlier attempt, or another task of the run, has set before."""
    from wandb_runtime.server import sdk_private

    sdk_private.allow_config_changes(run)


def prepare_for_outage(run: Run) -> None:
    """Let a run log artifacts although W&B may become unreachable."""
    from wandb_runtime.server import sdk_private

    try:
        sdk_private.prepare_for_artifacts(run)
    except Exception:  # the run itself is open
        _logger.debug("W&B run %s cannot log artifacts in an outage", run.id, exc_info=True)


def _forget(run_id: str | None) -> None:
    """Let a run be opened again after a failure."""
    from wandb_runtime.server import sdk_private

    if run_id is None or open_runs.has_id(run_id):
        return
    try:
        sdk_private.forget_failed_run(run_id)
    except Exception:  # the reason why the run could not be opened is what matters
        _logger.debug("W&B run %s stays in use in this process", run_id, exc_info=True)


def describe_action(run: Run, metadata: Mapping[str, Any]) -> None:
    """Describe in the run's config the Flyte action that opened it.

    Where Flyte does not provide the attempt number, a resumed run counts on from its own config.
    """
    attempt = metadata.get("attempt")
    if attempt is None:
        earlier = run.config["flyte"] if run.resumed and "flyte" in run.config else None
        counted = earlier.get("attempt") if isinstance(earlier, dict) else None
        attempt = counted + 1 if isinstance(counted, int) else 0
    update_config(run, {"flyte": {**metadata, "attempt": attempt}})
