from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Twin(Generic[P, R]):
    """A coroutine function that is called plainly, and as `.aio(...)` where one awaits: as Flyte names such pairs."""

    def __init__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return run_sync(self._function(*args, **kwargs))

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """The same without blocking: await it. Cancelling the task that awaits it stops it promptly."""
        return self._function(*args, **kwargs)


def run_sync(coroutine: Coroutine[Any, Any, R]) -> R:
    """Runs a coroutine to its end, also where an event loop runs already, as in a notebook."""
    return _in_thread(coroutine) if _is_on_loop() else asyncio.run(coroutine)


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(coroutine: Coroutine[Any, Any, R]) -> R:
    found: Future[R] = Future()
    loops: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[R]]] = Future()

    async def body() -> R:
        task = asyncio.ensure_future(coroutine)
        loops.set_result((asyncio.get_running_loop(), task))
        return await task

    def work() -> None:
        whole = body()
        try:
            found.set_result(asyncio.run(whole))
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            if not loops.done():
                # No loop was to be had, so nothing has begun.
                whole.close()
                coroutine.close()
                loops.set_exception(error)
            found.set_exception(error)

    # With the caller's context variables: in a Flyte task they say where outputs go.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="wandb-artifacts", daemon=True)
    thread.start()
    try:
        return found.result()
    except BaseException:
        # A KeyboardInterrupt while waiting: nothing goes on behind the caller's back.
        if loops.exception() is None and thread.is_alive():
            loop, task = loops.result()
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
        raise
