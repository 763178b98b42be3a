from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def run_all(*coroutines: Awaitable[object]) -> None:
    """Runs all to their end; the first error cancels the rest, waits for them and is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[object]], *, workers: int) -> None:
    """Gives each item to one of some workers; memory does not grow with the number of items."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    await run_all(*(worker() for _ in range(workers)))
