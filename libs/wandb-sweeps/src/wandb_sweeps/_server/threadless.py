"""A client for the exit of the interpreter, when Python starts no more threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import TypeVarTuple, Unpack
from wandb_artifacts.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ThreadlessClient(Client):
    """Sends requests without threads: blocking work, such as the resolution of host names, blocks the event loop."""

    def execute(self, document: str, variables: Mapping[str, object], **options: Any) -> dict[str, Any]:
        """Send a GraphQL request; see `Client.execute`."""
        loop = _ThreadlessLoop()
        try:
            return loop.run_until_complete(self.execute_async(document, variables, **options))
        finally:
            loop.close()


class _ThreadlessLoop(asyncio.SelectorEventLoop):
    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002
        func: Callable[[Unpack[Ts]], T],
        *args: Unpack[Ts],
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            future.set_exception(error)
        return future
