"""A call of a decorated task: its sweep is planned, created or joined, and left or ended after the body."""

from __future__ import annotations

import functools
import os
from asyncio import CancelledError
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import flyte
from wandb_runtime import get_distributed_info
from wandb_runtime.hosting import current_task, exit_code_of, keep, keep_async, off_loop, watched

from wandb_sweeps._lifecycle.decoration import MARKER, SweepDecoration
from wandb_sweeps._lifecycle.planning import Plan, Surroundings, plan_sweep
from wandb_sweeps._lifecycle.session import SweepSession, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@contextmanager
def sweep_around(wrapper: Callable[..., Any]) -> Iterator[None]:
    """Creates the sweep of a task's function, or joins one, for the time of its body."""
    with watched() as body:
        session = start(functools.partial(_plan, wrapper))
        try:
            with body.running(session), session.active():
                yield
        except BaseException as error:
            keep(session.close(exit_code_of(error)), error)
            raise
        keep(session.close(0))


@asynccontextmanager
async def sweep_around_async(wrapper: Callable[..., Any]) -> AsyncIterator[None]:
    """`sweep_around` for coroutine functions: what waits for W&B does so off the event loop."""
    with watched() as body:
        session = await off_loop(lambda: start(functools.partial(_plan, wrapper)), undo=_abandon)
        try:
            with body.running(session), session.active():
                yield
        except BaseException as error:
            await keep_async(await off_loop(functools.partial(session.close, exit_code_of(error))), error)
            raise
        await keep_async(await off_loop(functools.partial(session.close, 0)))


def _abandon(session: SweepSession) -> None:
    session.close(exit_code_of(CancelledError()))


def _plan(wrapper: Callable[..., Any]) -> Plan:
    decoration: SweepDecoration = getattr(wrapper, MARKER)
    ranks = get_distributed_info()
    around = Surroundings(
        context=flyte.get_custom_context() if flyte.ctx() else {},
        environment=os.environ,
        task=current_task(),
        is_first_rank=ranks is None or ranks["rank"] == 0,
    )
    return plan_sweep(decoration.settings, around)
