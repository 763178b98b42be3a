"""Sessions: what a decorated function holds open while its body runs, such as a W&B run or sweep."""

from __future__ import annotations

import functools
from asyncio import CancelledError
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol

from wandb_runtime.tasks.errors import TaskError
from wandb_runtime.tasks.forks import ending_forked_children
from wandb_runtime.tasks.outputs import store_output, store_output_async
from wandb_runtime.tasks.shutdown import Closable, exit_code_of, watch_body
from wandb_runtime.tasks.threads import to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from wandb_runtime.tasks.errors import TaskError
from wandb_runtime.tasks.outputs import TraceOutput


class Session(Closable, Protocol):
    """Something open for the time of a function's body."""

    def active(self) -> AbstractContextManager[None]:
        """Make it available to the code inside, and to the tasks called there."""

    def close(self, exit_code: int, /) -> TraceOutput | None:
        """Close it once, within bounds of time. Never raises: the body's result must not be lost.

        Returns:
            What Flyte should store as the output of a trace, if anything.
        """


@contextmanager
def hold(start: Callable[[], Session]) -> Iterator[None]:
    """Open a session, run the body inside, close the session with the body's exit code, and store its output.

    Args:
        start: Opens the session. May block.
    """
    with watch_body() as body:
        try:
            session = start()
        except TaskError as error:
            # Without the frames below, which are of no use to the user.
            raise error.with_traceback(None) from None
        try:
            with body.running(session), session.active(), ending_forked_children():
                yield
        except BaseException as error:
            store_output(session.close(exit_code_of(error)), error)
            raise
        store_output(session.close(0))


@asynccontextmanager
async def hold_async(start: Callable[[], Session]) -> AsyncIterator[None]:
    """`hold` for coroutine functions: everything that blocks runs off the event loop."""
    with watch_body() as body:
        try:
            session = await to_thread(start, undo=_abandon)
        except TaskError as error:
            raise error.with_traceback(None) from None
        try:
            with body.running(session), session.active(), ending_forked_children():
                yield
        except BaseException as error:
            await store_output_async(await _close(session, exit_code_of(error)), error)
            raise
        await store_output_async(await _close(session, 0))


async def _close(session: Session, exit_code: int) -> TraceOutput | None:
    return await to_thread(functools.partial(session.close, exit_code))


def _abandon(session: Session) -> None:
    session.close(exit_code_of(CancelledError()))
