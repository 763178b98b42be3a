"""Opening and closing a W&B run around a function, as a plan says. Everything here that waits is blocking."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import flyte

from wandb_runtime import _current, _open_runs
from wandb_runtime._additions import add, add_as_writer, keep_tags, update_config
from wandb_runtime._errors import MissingApiKeyError, RunOpenError, UnavailableError
from wandb_runtime._plan import JoinPlan, OpenPlan, Plan, RunAddress, WriterPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb import Run

_logger = logging.getLogger("wandb_runtime")


class Role(Enum):
    """What a session has to do with the end of its run."""

    GUEST = "uses a run object that somebody else closes"
    WRITER = "closes its own connection to a run that another process ends"
    OPENER = "ends the run"


@dataclass(frozen=True)
class Session:
    """A run in use by one function."""

    run: Run
    address: RunAddress
    role: Role
    tags: tuple[str, ...] = ()
    """The tags that the function has added to a run of another process."""
    _closing: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Makes the run the one of the code inside, and hands its address to the tasks called there."""
        with _current.in_force(self.run, self.address), flyte.custom_context(**self.address.to_context()):
            yield

    def mark_preempting(self) -> None:
        """Tells W&B that the platform is about to stop the process. Never raises."""
        if self.role is Role.OPENER:
            with contextlib.suppress(Exception):
                self.run.mark_preempting()

    def close(self, exit_code: int) -> None:
        """Ends what the session has to end, once. Never raises: the work is done, and its result must not be lost."""
        if self.role is Role.GUEST or not self._closing.acquire(blocking=False):
            return
        if self.role is Role.WRITER:
            keep_tags(self.run, self.address, self.tags)
            _open_runs.leave(self.address, lambda run: _finish(run, self.address, exit_code))
        else:
            _open_runs.remove(self.address)
            _finish(self.run, self.address, exit_code)


def _finish(run: Run, address: RunAddress, exit_code: int) -> None:
    try:
        run.finish(exit_code)
    except Exception as error:  # noqa: BLE001
        _logger.warning(
            "W&B run %s was not delivered completely (%s: %s). Its data is in %s; `wandb sync` it from there",
            address.id,
            type(error).__name__,
            error,
            os.path.dirname(run.dir),  # noqa: PTH120
        )


def start(plan: Plan) -> Session:
    """Opens or joins the run of a plan.

    Raises:
        RunOpenError: The run could not be opened.
    """
    if isinstance(plan, JoinPlan):
        return _join(plan)
    try:
        return _write(plan) if isinstance(plan, WriterPlan) else _open(plan)
    except UnavailableError as error:
        if plan.otherwise is None:
            raise
        _logger.warning("%s. Going on offline", error)
        return _open(plan.otherwise)


def _join(plan: JoinPlan) -> Session:
    run = _open_runs.find(plan.address)
    if run is None:
        msg = f"W&B run {plan.address.id!r} was closed before this task could join it; await the tasks you call"
        raise RunOpenError(msg)
    add(plan.additions, run)
    return Session(run, plan.address, Role.GUEST)


def _write(plan: WriterPlan) -> Session:
    address = plan.address
    known = {"entity": address.entity, "project": address.project}
    init = {"id": address.id, "mode": "shared", **{name: value for name, value in known.items() if value}}

    run = _open_runs.enter(address, lambda: _init(init, plan.settings))
    session = Session(run, address, Role.WRITER, plan.additions.tags)
    try:
        add_as_writer(plan.additions, run, address)
    except BaseException:
        session.close(1)
        raise
    return session


def _open(plan: OpenPlan) -> Session:
    if plan.downloads_logs:
        _logger.warning("download_logs=True has no effect yet: this version of wandb-runtime downloads nothing")
    if plan.notice:
        _logger.warning(plan.notice)
    run = _init(plan.init, plan.settings)
    address = RunAddress(
        id=run.id,
        entity=run.entity or None,
        project=run.project or None,
        host=run.settings.base_url,
        mode=run.settings.mode,
        group=run.group or None,
    )
    _open_runs.add(address, run)
    session = Session(run, address, Role.OPENER)
    try:
        if plan.metadata is not None:
            _describe_action(run, plan.metadata)
    except BaseException:
        session.close(1)
        raise
    return session


def _init(init: Mapping[str, Any], settings: Mapping[str, Any]) -> Run:
    import wandb

    host = settings.get("base_url")
    try:
        _require_api_key(host, init)
    except wandb.Error as error:
        raise _why(error, host, init) from error
    try:
        # A fresh dictionary each time: wandb.init changes the settings object it is given.
        return wandb.init(**init, reinit="create_new", settings=dict(settings))
    except Exception as error:
        if isinstance(error, wandb.Error):
            _forget(init.get("id"))
        raise _why(error, host, init) from error


def _forget(run_id: str | None) -> None:
    from wandb_runtime import _sdk

    if run_id is None or _open_runs.has_id(run_id):
        return
    try:
        _sdk.forget_failed_run(run_id)
    except Exception:  # the reason why the run could not be opened is what matters
        _logger.debug("W&B run %s stays in use in this process", run_id, exc_info=True)


def _why(error: Exception, host: str | None, init: Mapping[str, Any]) -> RunOpenError:
    from wandb_runtime import _sdk

    where = host or os.environ.get("WANDB_BASE_URL") or "the default host"
    what = f"W&B run {init.get('id') or 'of this function'} at {where} cannot be opened"
    if _sdk.is_unavailable(error):
        return UnavailableError(f"{what}, the server does not answer: {_in_one_line(error)}")
    return RunOpenError(
        f"{what}: {type(error).__name__}: {_in_one_line(error)}. Check WANDB_API_KEY, the entity "
        f"({init.get('entity') or 'the default one'}) and the project ({init.get('project') or 'the default one'})"
    )


def _require_api_key(host: str | None, init: Mapping[str, Any]) -> None:
    """Fails before wandb.init would ask for a key on the terminal of whoever runs the task."""
    from wandb_runtime import _sdk

    mode = init.get("mode") or os.environ.get("WANDB_MODE")
    if mode in ("offline", "disabled", "dryrun") or _sdk.has_credentials(host):
        return
    msg = (
        "No W&B API key: set WANDB_API_KEY (in Flyte: secrets=flyte.Secret(key, as_env_var='WANDB_API_KEY') of the "
        'TaskEnvironment), or set mode="offline" to log without W&B'
    )
    raise MissingApiKeyError(msg)


def _describe_action(run: Run, metadata: Mapping[str, Any]) -> None:
    """Tells in the run's config which Flyte action made it.

    Where Flyte does not tell the attempt, a resumed run counts on from its own config.
    """
    attempt = metadata.get("attempt")
    if attempt is None:
        earlier = run.config["flyte"] if run.resumed and "flyte" in run.config else None
        counted = earlier.get("attempt") if isinstance(earlier, dict) else None
        attempt = counted + 1 if isinstance(counted, int) else 0
    update_config(run, {"flyte": {**metadata, "attempt": attempt}})


def _in_one_line(error: Exception) -> str:
    """The SDK's text without its last paragraph, which tells how to call wandb.init."""
    return " ".join(str(error).partition("\nConsider increasing")[0].split())
