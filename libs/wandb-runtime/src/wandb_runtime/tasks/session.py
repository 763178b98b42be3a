"""A call of a decorated function: its run is planned, opened and closed around the body.

Loaded with the first such call: importing the package is to cost little more than importing Flyte.
"""

from __future__ import annotations

import functools
import os
from asyncio import CancelledError
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from wandb_runtime import _exclusive, _open_runs, _stopping
from wandb_runtime._config import WandbConfig
from wandb_runtime._current import current
from wandb_runtime._decoration import MARKER, Decoration
from wandb_runtime._errors import DecoratorOrderError
from wandb_runtime._keeping import keep, keep_async
from wandb_runtime._off_loop import off_loop
from wandb_runtime._plan import Plan, RunAddress, SilentPlan, Surroundings, plan_run
from wandb_runtime._ranks import get_distributed_info, is_launched
from wandb_runtime._reach import may_be_joined
from wandb_runtime._session import Session, Silence, start
from wandb_runtime._task import current_task, is_task_function
from wandb_runtime.context import carried

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@contextmanager
def run_around(wrapper: Callable[..., Any]) -> Iterator[None]:
    """Opens the run of a wrapped function, or joins one, for the time of its body."""
    with _stopping.watched() as body:
        session = _start(wrapper)
        try:
            with body.running(session), session.active():
                yield
        except BaseException as error:
            keep(session.close(_stopping.exit_code_of(error)), error)
            raise
        keep(session.close(0))


@asynccontextmanager
async def run_around_async(wrapper: Callable[..., Any]) -> AsyncIterator[None]:
    """`run_around` for coroutine functions: what waits for W&B does so off the event loop."""
    with _stopping.watched() as body:
        session = await off_loop(functools.partial(_start, wrapper), undo=_abandon)
        try:
            with body.running(session), session.active():
                yield
        except BaseException as error:
            await keep_async(await off_loop(functools.partial(session.close, _stopping.exit_code_of(error))), error)
            raise
        await keep_async(await off_loop(functools.partial(session.close, 0)))


def _start(wrapper: Callable[..., Any]) -> Session | Silence:
    with _exclusive.opening():
        return start(_plan(wrapper))


def _abandon(session: Session | Silence) -> None:
    session.close(_stopping.exit_code_of(CancelledError()))


def _plan(wrapper: Callable[..., Any]) -> Plan:
    decoration: Decoration = getattr(wrapper, MARKER)
    task = current_task()
    if decoration.short_name is None and task is not None and is_task_function(wrapper):
        name = wrapper.__qualname__
        msg = f"@wandb_init stands under @env.task on {name!r}; put it above, as the outermost decorator"
        raise DecoratorOrderError(msg)
    here = current()
    if here is not None and here.run is None:
        return SilentPlan()
    if decoration.short_name is None or here is not None:
        # A task that is called as a function, by forward() or outside Flyte, is one.
        task = None
    context = carried()
    if here is not None:
        nearest: RunAddress | None = here.address
    else:
        nearest = RunAddress.from_context(context) if task else None
    around = Surroundings(
        context=WandbConfig.from_context(context),
        environment=os.environ,
        task=task,
        short_name=decoration.short_name,
        nearest=nearest,
        is_open_here=_open_runs.find(nearest) is not None,
        # Locally children are in this process, and a launcher's processes can call none.
        may_be_joined=task is not None and not task.is_local and not is_launched(os.environ) and may_be_joined(wrapper),
        ranks=get_distributed_info() if task is not None else None,
    )
    return plan_run(decoration.settings, around)
