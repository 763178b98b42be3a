"""Opening and closing a W&B run around a function, as a plan says. Everything here that waits is blocking."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flyte

from wandb_runtime import _current, _open_runs
from wandb_runtime._errors import MissingApiKeyError, RunOpenError, UnavailableError
from wandb_runtime._plan import JoinPlan, OpenPlan, RunAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb import Run

_logger = logging.getLogger("wandb_runtime")


@dataclass(frozen=True)
class Session:
    """A run in use by one function."""

    run: Run
    address: RunAddress
    is_opener: bool

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Makes the run the one of the code inside, and hands its address to the tasks called there."""
        with _current.in_force(self.run, self.address), flyte.custom_context(**self.address.to_context()):
            yield

    def close(self, exit_code: int) -> None:
        """Ends the run, if it was opened here. Never raises: the work is done, and its result must not be lost."""
        if not self.is_opener:
            return
        _open_runs.remove(self.address)
        try:
            self.run.finish(exit_code)
        except Exception as error:  # noqa: BLE001
            _logger.warning(
                "W&B run %s was not delivered completely (%s: %s). Its data is in %s; `wandb sync` it from there",
                self.address.id,
                type(error).__name__,
                error,
                os.path.dirname(self.run.dir),  # noqa: PTH120
            )


def start(plan: JoinPlan | OpenPlan) -> Session:
    """Opens or joins the run of a plan.

    Raises:
        RunOpenError: The run could not be opened.
    """
    return _join(plan) if isinstance(plan, JoinPlan) else _open(plan)


def _join(plan: JoinPlan) -> Session:
    run = _open_runs.find(plan.address)
    if run is None:
        msg = f"W&B run {plan.address.id!r} was closed before this task could join it; await the tasks you call"
        raise RunOpenError(msg)
    if plan.config:
        _update_config(run, plan.config)
    if inherited := {key: value for key, value in plan.inherited_config.items() if key not in run.config}:
        _update_config(run, inherited)
    if added := [tag for tag in plan.tags if tag not in (run.tags or ())]:
        run.tags = (*(run.tags or ()), *added)
    return Session(run, plan.address, is_opener=False)


def _open(plan: OpenPlan) -> Session:
    if plan.downloads_logs:
        _logger.warning("download_logs=True has no effect yet: this version of wandb-runtime downloads nothing")
    try:
        run = _init(plan)
    except UnavailableError as error:
        if not plan.goes_offline:
            raise
        _logger.warning("%s. Going on offline", error)
        run = _init(plan, mode="offline")
    if plan.metadata is not None:
        _describe_action(run, plan.metadata)
    address = RunAddress(
        id=run.id, entity=run.entity or None, project=run.project or None, host=plan.host, mode=run.settings.mode
    )
    _open_runs.add(address, run)
    return Session(run, address, is_opener=True)


def _init(plan: OpenPlan, **changes: Any) -> Run:
    import wandb

    init = {**plan.init, **changes}
    try:
        _require_api_key(plan, init)
    except wandb.Error as error:
        raise _why(error, plan, init) from error
    try:
        # A fresh dictionary each time: wandb.init changes the settings object it is given.
        return wandb.init(**init, reinit="create_new", settings=dict(plan.settings))
    except Exception as error:
        if isinstance(error, wandb.Error):
            _forget(init.get("id"))
        raise _why(error, plan, init) from error


def _forget(run_id: str | None) -> None:
    from wandb_runtime import _sdk

    if run_id is None or _open_runs.has_id(run_id):
        return
    try:
        _sdk.forget_failed_run(run_id)
    except Exception:  # the reason why the run could not be opened is what matters
        _logger.debug("W&B run %s stays in use in this process", run_id, exc_info=True)


def _why(error: Exception, plan: OpenPlan, init: Mapping[str, Any]) -> RunOpenError:
    from wandb_runtime import _sdk

    host = plan.host or os.environ.get("WANDB_BASE_URL") or "the default host"
    what = f"W&B run {init.get('id') or 'of this function'} at {host} cannot be opened"
    if _sdk.is_unavailable(error):
        return UnavailableError(f"{what}, the server does not answer: {_in_one_line(error)}")
    return RunOpenError(
        f"{what}: {type(error).__name__}: {_in_one_line(error)}. Check WANDB_API_KEY, the entity "
        f"({init.get('entity') or 'the default one'}) and the project ({init.get('project') or 'the default one'})"
    )


def _require_api_key(plan: OpenPlan, init: Mapping[str, Any]) -> None:
    """Fails before wandb.init would ask for a key on the terminal of whoever runs the task."""
    from wandb_runtime import _sdk

    mode = init.get("mode") or os.environ.get("WANDB_MODE")
    if mode in ("offline", "disabled", "dryrun") or _sdk.has_credentials(plan.host):
        return
    msg = (
        "No W&B API key: set WANDB_API_KEY (in Flyte: secrets=flyte.Secret(key, as_env_var='WANDB_API_KEY') of the "
        'TaskEnvironment), or set mode="offline" to log without W&B'
    )
    raise MissingApiKeyError(msg)


def _describe_action(run: Run, metadata: Mapping[str, Any]) -> None:
    """Tells in the run's config which Flyte action made it.

    A resumed run counts its attempts up from its own config: Flyte's local mode does not tell the attempt.
    """
    earlier = run.config["flyte"] if run.resumed and "flyte" in run.config else None
    attempt = metadata["attempt"]
    if isinstance(earlier, dict) and isinstance(earlier.get("attempt"), int):
        attempt = max(attempt, earlier["attempt"] + 1)
    _update_config(run, {"flyte": {**metadata, "attempt": attempt}})


def _update_config(run: Run, values: Mapping[str, Any]) -> None:
    run.config.update(dict(values), allow_val_change=True)  # type: ignore[no-untyped-call]


def _in_one_line(error: Exception) -> str:
    """The SDK's text without its last paragraph, which tells how to call wandb.init."""
    return " ".join(str(error).partition("\nConsider increasing")[0].split())
