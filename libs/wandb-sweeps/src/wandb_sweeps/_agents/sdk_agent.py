"""Support for `wandb.agent(sweep_id, function=objective)` in the body of a task.

The SDK's agent assumes that it has a process to itself: it runs the objective in a thread without Flyte's context,
reads entity and server from the environment, sets variables there, and ends every run of the process before each trial.
While a body with a sweep runs, the function behind `wandb.agent` is replaced by one that

- gives the agent the entity, the project and the server of its sweep, for the time of the call only,
- runs each trial in the context of the call, and coroutine functions to their end,
- sets the open runs of the process aside during the call, and makes other tasks of the process wait to open theirs,
- makes a second agent wait, and refuses one that would wait forever.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import flyte
from wandb_runtime.lifecycle.current import in_trial
from wandb_runtime.lifecycle.process_lock import exclusive, is_held, is_owner
from wandb_runtime.tasks.shutdown import exit_code_of, watch_body

from wandb_sweeps import _sdk_private
from wandb_sweeps._errors import AgentBusyError
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server.lookup import SweepServer, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wandb import Run

_logger = logging.getLogger("wandb_sweeps")

# The variables that the agent sets or is given; it removes some of them itself.
_VARIABLES = (
    "WANDB_BASE_URL",
    "WANDB_DIR",
    "WANDB_ENTITY",
    "WANDB_PROJECT",
    "WANDB_RUN_ID",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
)
_ADVICE = "await run_sweep_agent(...) instead: it runs each trial in a separate process, and many agents at once"

_lock = threading.Lock()
_bodies = 0
_original: Callable[..., Any] | None = None


def load() -> None:
    """Import what `wandb_agent_replaced` needs, which takes half a second."""
    _sdk_private.pyagent_module()


@contextlib.contextmanager
def wandb_agent_replaced() -> Iterator[None]:
    """Replace the function behind `wandb.agent` inside the block; calls outside of tasks reach the original."""
    module = _sdk_private.pyagent_module()
    global _bodies, _original  # noqa: PLW0603
    with _lock:
        _bodies += 1
        if _original is None:
            _original = module.pyagent
            module.pyagent = functools.wraps(_original)(functools.partial(_agent, _original))
    try:
        yield
    finally:
        with _lock:
            _bodies -= 1
            if not _bodies and _original is not None:
                module.pyagent, _original = _original, None


def _agent(
    original: Callable[..., Any],
    sweep_id: str,
    function: Callable[[], object],
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    **options: Any,
) -> None:
    if not flyte.ctx():
        original(sweep_id, function, entity, project, count, **options)
        return
    _refuse_deadlock()
    location = _find(sweep_id, entity, project)
    with exclusive(), _environment_of(location), flyte.custom_context(**location.to_context()), in_trial():
        trial = functools.partial(_run_trial, function, contextvars.copy_context())
        original(location.id, trial, location.entity, location.project, count, **options)


def _run_trial(function: Callable[[], object], context: contextvars.Context) -> None:
    # A copy: one context cannot be entered twice, and the agent may abandon a trial that does not end.
    context.copy().run(_call, function)


def _call(function: Callable[[], object]) -> None:
    trial = _OpenRun()
    with watch_body() as body:
        try:
            with body.running(trial):
                result = function()
                if inspect.iscoroutine(result):
                    asyncio.run(result)
        except Exception:  # the agent closes the run, after it has printed the traceback to it
            raise
        except BaseException as error:
            trial.close(exit_code_of(error))
            raise


class _OpenRun:
    """The run of an objective that calls `wandb.init` itself; `@wandb_init` closes the run of a decorated one.

    The SDK's agent does not close the run of an objective that raises SystemExit: W&B would show it as running, or as
    finished.
    """

    def mark_preempting(self) -> None:
        """Mark the run as preempting: the platform is about to stop the process. Never raises."""
        with contextlib.suppress(Exception):
            if (run := self._run()) is not None:
                run.mark_preempting()

    def close(self, exit_code: int) -> None:
        """End the run, if it is still open. Never raises."""
        try:
            if (run := self._run()) is not None:
                run.finish(exit_code=exit_code)
        except Exception:
            _logger.warning("The W&B run of a trial could not be closed", exc_info=True)

    def _run(self) -> Run | None:
        import wandb

        return wandb.run


def _refuse_deadlock() -> None:
    """Refuse a second agent if the first one may in turn wait for it; otherwise it waits for the first one.

    Raises:
        AgentBusyError: It would wait inside a trial, or block the event loop.
    """
    if is_owner():
        msg = f"wandb.agent in a trial of another wandb.agent would wait for its own end; {_ADVICE}"
        raise AgentBusyError(msg)
    if not is_held():
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _logger.warning("wandb.agent waits for another one in the same process; %s", _ADVICE)
        return
    msg = f"another wandb.agent is running in this process; waiting here would block the event loop; {_ADVICE}"
    raise AgentBusyError(msg)


def _find(sweep_id: str, entity: str | None, project: str | None) -> SweepLocation:
    """Find the sweep of an agent; the arguments are those of `wandb.agent`.

    Raises:
        InvalidValueError: `sweep_id` is not a sweep.
        MissingApiKeyError: No API key is configured.
        SweepNotFoundError: The sweep does not exist.
        SweepUnavailableError: W&B is unreachable.
    """
    current = SweepLocation.from_context(flyte.get_custom_context())
    if current is not None and current.id == sweep_id:
        # Callers usually pass the project of the configuration, which may differ from that of the sweep.
        entity = project = None
    return locate(SweepServer.of(current), sweep_id, project, entity, current).location


@contextlib.contextmanager
def _environment_of(location: SweepLocation) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ["WANDB_BASE_URL"] = location.host
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
