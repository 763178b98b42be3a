"""`wandb.agent(sweep_id, function=objective)` in the body of a task.

The SDK's agent takes a whole process for itself: it runs the objective in a thread that Flyte's context does not reach,
takes entity and server from the environment, sets variables there, and before each trial ends every run of the process.
While bodies run that have a sweep, the function behind `wandb.agent` is one that

- gives the agent the entity, the project and the server of its sweep, for the time of the call only,
- runs each trial in the context of the call, coroutines to their end,
- sets the runs of the process aside for so long, and lets other tasks of the process wait with theirs,
- lets a second agent wait, and refuses one that would wait for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import importlib
import inspect
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import flyte
from wandb_runtime.lifecycle.current import in_trial
from wandb_runtime.lifecycle.process_lock import exclusive, is_held, is_owner
from wandb_runtime.tasks.shutdown import exit_code_of, watch_body

from wandb_sweeps._address import SweepAddress
from wandb_sweeps._errors import AgentBusyError
from wandb_sweeps._server.lookup import Server, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wandb import Run

_logger = logging.getLogger("wandb_sweeps")

# What the agent sets, and what it is given; it removes some of it itself.
_VARIABLES = (
    "WANDB_BASE_URL",
    "WANDB_DIR",
    "WANDB_ENTITY",
    "WANDB_PROJECT",
    "WANDB_RUN_ID",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
)
_ADVICE = "await run_sweep_agent(...) instead: it runs its trials in processes of their own, many agents at once"

_lock = threading.Lock()
_bodies = 0
_of_the_sdk: Callable[..., Any] | None = None


def load() -> None:
    """Imports what `at_home` needs, which takes half a second."""
    importlib.import_module("wandb.agents.pyagent")


@contextlib.contextmanager
def at_home() -> Iterator[None]:
    """Makes the agents that are started inside those of this module; those that do not belong to a task stay alone."""
    from wandb.agents import pyagent as module

    global _bodies, _of_the_sdk  # noqa: PLW0603
    with _lock:
        _bodies += 1
        if _of_the_sdk is None:
            _of_the_sdk = module.pyagent
            module.pyagent = functools.wraps(_of_the_sdk)(functools.partial(_agent, _of_the_sdk))
    try:
        yield
    finally:
        with _lock:
            _bodies -= 1
            if not _bodies and _of_the_sdk is not None:
                module.pyagent, _of_the_sdk = _of_the_sdk, None


def _agent(
    of_the_sdk: Callable[..., Any],
    sweep_id: str,
    function: Callable[[], object],
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    **options: Any,
) -> None:
    if not flyte.ctx():
        of_the_sdk(sweep_id, function, entity, project, count, **options)
        return
    _refuse_to_hang()
    address = _find(sweep_id, entity, project)
    with exclusive(), _environment_of(address), flyte.custom_context(**address.to_context()), in_trial():
        trial = functools.partial(_run_trial, function, contextvars.copy_context())
        of_the_sdk(address.id, trial, address.entity, address.project, count, **options)


def _run_trial(function: Callable[[], object], context: contextvars.Context) -> None:
    # A copy: one context cannot be entered twice, and the agent may leave a trial behind that does not end.
    context.copy().run(_call, function)


def _call(function: Callable[[], object]) -> None:
    trial = _Trial()
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


class _Trial:
    """What an objective that calls `wandb.init` itself has in use; of a decorated one there is nothing left to close.

    The agent closes no run of an objective that SystemExit ends: it would be shown as running, or as finished.
    """

    def mark_preempting(self) -> None:
        """Tells W&B that the platform is about to stop the process. Never raises."""
        with contextlib.suppress(Exception):
            if (run := self._run()) is not None:
                run.mark_preempting()

    def close(self, exit_code: int) -> None:
        """Ends the run, if it is still open. Never raises."""
        try:
            if (run := self._run()) is not None:
                run.finish(exit_code=exit_code)
        except Exception:
            _logger.warning("The W&B run of a trial could not be closed", exc_info=True)

    def _run(self) -> Run | None:
        import wandb

        return wandb.run


def _refuse_to_hang() -> None:
    """A second agent waits for the first one; not where the first one may in turn wait for it.

    Raises:
        AgentBusyError: It would wait inside a trial, or with the event loop standing still.
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
    msg = f"another wandb.agent is at work in this process; to wait here would halt the event loop; {_ADVICE}"
    raise AgentBusyError(msg)


def _find(sweep_id: str, entity: str | None, project: str | None) -> SweepAddress:
    """The sweep that an agent is to work for; the arguments are those of `wandb.agent`.

    Raises:
        InvalidValueError: It is no sweep's address.
        MissingApiKeyError: There is no API key.
        SweepNotFoundError: There is no such sweep.
        SweepUnavailableError: W&B does not tell.
    """
    in_force = SweepAddress.from_context(flyte.get_custom_context())
    if in_force is not None and in_force.id == sweep_id:
        # The project of the configuration, which need not be that of the sweep, is what is mostly given.
        entity = project = None
    return locate(Server.of(in_force), sweep_id, project, entity, in_force).address


@contextlib.contextmanager
def _environment_of(address: SweepAddress) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ["WANDB_BASE_URL"] = address.host
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
