"""Opening a W&B run by `wandb.init`, with failures explained. Blocks."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wandb_artifacts.client import Connection

from wandb_runtime.lifecycle import open_runs
from wandb_runtime.lifecycle.joining import update_config
from wandb_runtime.server.diagnostics import RunRequest, explain_failure, require_api_key
from wandb_runtime.tasks.distributed import is_launched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb import Run

_logger = logging.getLogger("wandb_runtime")


def connection_for(settings: Mapping[str, Any]) -> Connection:
    """Return how the server of a run is reached, for requests beside those of the SDK's own run.

    The host is resolved: the SDK would use the host of the run that it opened last for later runs without one.

    Raises:
        InvalidValueError: A setting is invalid.
    """
    connection = Connection.from_settings(settings)
    return replace(connection, host=connection.resolved().host)


def open_run(init: Mapping[str, Any], settings: Mapping[str, Any], connection: Connection) -> Run:
    """Call `wandb.init` with these arguments.

    Raises:
        RunOpenError: It failed.
    """
    import wandb

    from wandb_runtime.server import sdk_private

    if is_launched(os.environ):
        # The launcher's service would take two ranks for one process, and a run of a killed rank for one in use.
        sdk_private.detach_inherited_service()
    request = RunRequest.of(init, connection)
    require_api_key(request, init.get("mode"))
    try:
        # A fresh dictionary each time: wandb.init changes the settings object it is given.
        run = wandb.init(**init, reinit="create_new", settings={**settings, "base_url": request.host})
    except Exception as error:
        if isinstance(error, wandb.Error):
            _forget(init.get("id"))
        raise explain_failure(error, request) from error
    if init.get("allow_val_change", run.resumed):
        allow_config_changes(run)
    return run


def allow_config_changes(run: Run) -> None:
    """Let the body set values of `run.config` that an earlier attempt, or another task of the run, has set before."""
    from wandb_runtime.server import sdk_private

    sdk_private.allow_config_changes(run)


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
