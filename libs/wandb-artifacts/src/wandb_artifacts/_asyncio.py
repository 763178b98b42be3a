"""Helpers for asyncio: work in threads, functions with a blocking and an async form, a pool of workers."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import cache, partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_THREADS = 32
"""More than the loop's own executor has, because an upload to an object store occupies a thread until its end."""


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="wandb-artifacts")


if hasattr(os, "register_at_fork"):
    # A forked process inherits the executor without its threads.
    os.register_at_fork(after_in_child=_executor.cache_clear)


async def to_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run blocking work in a thread, and wait for its end however often it is cancelled.

    The caller must not close or move a file that a thread still writes to. Work that may hang, because it waits for
    another machine, uses `abandonable`.
    """
    cancellation: Future[None] = Future()
    body = partial(_with_cancellation, cancellation, partial(work, *args, **kwargs))
    future = asyncio.get_running_loop().run_in_executor(_executor(), body)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        cancellation.set_result(None)
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        if not future.cancelled():
            future.exception()
        raise


class AbandonedError(BaseException):
    """The caller of `to_thread` was cancelled. Not an Exception, so that nothing retries or translates it."""


class _Thread(threading.local):
    cancellation: Future[None] | None = None
    """Done when the work of this thread is cancelled."""


_thread = _Thread()


def _with_cancellation(cancellation: Future[None], work: Callable[[], R]) -> R:
    _thread.cancellation = cancellation
    try:
        return work()
    finally:
        _thread.cancellation = None


def is_cancelled() -> bool:
    """Return whether the work of `to_thread` that calls this should end early, because nobody needs its result."""
    return _thread.cancellation is not None and _thread.cancellation.done()


def abandonable(work: Callable[[], R]) -> R:
    """Run a part of the work of `to_thread` that is left to itself when the caller is cancelled.

    It must not use anything that the caller closes. Its daemon thread does not keep the process alive.

    Raises:
        AbandonedError: The caller was cancelled.
    """
    cancellation = _thread.cancellation
    if cancellation is None:
        return work()
    found: Future[R] = Future()

    def body() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            _end(found.set_exception, error)
        else:
            _end(found.set_result, result)

    threading.Thread(target=body, name="wandb-artifacts-io", daemon=True).start()
    cancellation.add_done_callback(lambda _: _end(found.set_exception, AbandonedError()))
    return found.result()


def _end(conclude: Callable[[T], object], outcome: T) -> None:
    with suppress(InvalidStateError):
        conclude(outcome)


class Syncified(Generic[P, R]):
    """A coroutine function with a blocking form, the call, and an awaitable form, `.aio(...)`, named as in Flyte."""

    def __init__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return run_sync(self._function(*args, **kwargs))

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Return the coroutine. Cancelling the task that awaits it stops the work promptly."""
        return self._function(*args, **kwargs)


def syncify(function: Callable[P, Coroutine[Any, Any, R]]) -> Syncified[P, R]:
    """Make a coroutine function callable without an event loop."""
    return Syncified(function)


def run_sync(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine to its end, also if an event loop is already running, as in a notebook."""
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
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            if not loops.done():
                # The loop could not be created, so nothing has started.
                whole.close()
                coroutine.close()
                loops.set_exception(error)
            found.set_exception(error)

    # With the caller's context variables: in a Flyte task they determine where outputs are stored.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="wandb-artifacts", daemon=True)
    thread.start()
    try:
        return found.result()
    except BaseException:
        # A KeyboardInterrupt while waiting: the work must not continue in the background.
        if loops.exception() is None and thread.is_alive():
            loop, task = loops.result()
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
        raise


async def run_all(*coroutines: Awaitable[object]) -> None:
    """Await all; the first error cancels the others, waits for them and is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[object]], *, workers: int) -> None:
    """Process the items with a pool of workers; memory does not grow with the number of items."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    await run_all(*(worker() for _ in range(workers)))


async def started(items: AsyncIterator[T]) -> AsyncIterator[T]:
    """Request the first item, and return all."""
    first = list[T]()
    async for item in items:
        first.append(item)
        break

    async def chain() -> AsyncIterator[T]:
        for item in first:
            yield item
        async for item in items:
            yield item

    return chain()


async def ahead(items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield items; the next one is requested while one is in use."""

    async def one() -> tuple[T] | None:
        async for item in items:
            return (item,)
        return None

    upcoming = asyncio.ensure_future(one())
    try:
        while (found := await upcoming) is not None:
            upcoming = asyncio.ensure_future(one())
            yield found[0]
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


async def for_each_arriving(
    items: AsyncGenerator[T, None], work: Callable[[T], Awaitable[object]], *, workers: int
) -> None:
    """Process items with a pool of workers while the next ones arrive; at most one per worker waits for its turn."""
    waiting: asyncio.Queue[tuple[T] | None] = asyncio.Queue(workers)

    async def receive() -> None:
        async with aclosing(items):
            async for item in items:
                await waiting.put((item,))
        for _ in range(workers):
            await waiting.put(None)

    async def worker() -> None:
        while (found := await waiting.get()) is not None:
            await work(*found)

    await run_all(receive(), *(worker() for _ in range(workers)))
