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
from wandb_runtime._delivery import deliver
from wandb_runtime._errors import RunOpenError, UnavailableError
from wandb_runtime._logs import deliver_for_download
from wandb_runtime._opening import Opening, explain, require_api_key
from wandb_runtime._plan import JoinPlan, OpenPlan, Plan, RunAddress, SilentPlan, WriterPlan
from wandb_runtime._ranks import is_launched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb import Run

    from wandb_runtime._keeping import Keepable

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
    downloads_logs: bool = False
    """Whether the files of the run are wanted when it is over."""
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

    def close(self, exit_code: int) -> Keepable | None:
        """Ends what the session has to end, once. Never raises: the work is done, and its result must not be lost.

        Returns:
            What Flyte is to keep: the local copy of the run, if it has what W&B may not have; the files of the run, if
            they are wanted.
        """
        if self.role is Role.GUEST or not self._closing.acquire(blocking=False):
            return None
        if self.role is Role.WRITER:
            keep_tags(self.run, self.address, self.tags)
            return _open_runs.leave(self.address, lambda run: deliver(run, exit_code, ends_run=False))
        _open_runs.remove(self.address)
        if self.downloads_logs:
            return deliver_for_download(self.run, exit_code)
        return deliver(self.run, exit_code, ends_run=True)


class Silence:
    """Stands for a session where there is no run."""

    def active(self) -> contextlib.AbstractContextManager[None]:
        """Lets the code inside find no run, and open none."""
        return _current.in_force(None, None)

    def mark_preempting(self) -> None:
        """Does nothing."""

    def close(self, exit_code: int) -> Keepable | None:  # noqa: ARG002 - as a session's
        """Does nothing."""
        return None


def start(plan: Plan) -> Session | Silence:
    """Opens or joins the run of a plan.

    Raises:
        RunOpenError: The run could not be opened.
    """
    if isinstance(plan, SilentPlan):
        return Silence()
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
    downloads_logs = plan.downloads_logs and not is_launched(os.environ)
    if plan.downloads_logs and not downloads_logs:
        _logger.warning(
            "download_logs=True: Flyte takes no files from the processes of a distributed task; download those of W&B "
            "run %s in the parent task",
            plan.init.get("id"),
        )
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
    session = Session(run, address, Role.OPENER, downloads_logs=downloads_logs)
    try:
        if plan.metadata is not None:
            _describe_action(run, plan.metadata)
    except BaseException:
        session.close(1)
        raise
    return session


def _init(init: Mapping[str, Any], settings: Mapping[str, Any]) -> Run:
    import wandb

    from wandb_runtime import _sdk

    if is_launched(os.environ):
        # The launcher's service would take two ranks for one process, and a run of a killed rank for one in use.
        _sdk.leave_service_of_other_process()
    host = _sdk.api_address(settings.get("base_url"))
    opening = Opening.of(init, host)
    try:
        require_api_key(opening, init.get("mode"))
    except wandb.Error as error:
        raise explain(error, opening) from error
    try:
        # A fresh dictionary each time: wandb.init changes the settings object it is given.
        return wandb.init(**init, reinit="create_new", settings={**settings, "base_url": host})
    except Exception as error:
        if isinstance(error, wandb.Error):
            _forget(init.get("id"))
        raise explain(error, opening) from error


def _forget(run_id: str | None) -> None:
    from wandb_runtime import _sdk

    if run_id is None or _open_runs.has_id(run_id):
        return
    try:
        _sdk.forget_failed_run(run_id)
    except Exception:  # the reason why the run could not be opened is what matters
        _logger.debug("W&B run %s stays in use in this process", run_id, exc_info=True)


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
