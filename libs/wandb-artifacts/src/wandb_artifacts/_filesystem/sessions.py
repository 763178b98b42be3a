"""Sessions of a filesystem: one for each event loop that uses it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import weakref
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.http import Endpoint, Http, find_endpoint
from wandb_artifacts._client.options import ClientOptions, current_options
from wandb_artifacts._errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_CLOSE_TIMEOUT = 1.0
"""Seconds to wait for connections to close."""


class ContextToken:
    """A class attribute that differs between client options, so that fsspec does not share instances across them."""

    def __get__(self, instance: object, owner: type) -> str:
        options = current_options()
        connection = vars(options.connection) if options.connection else None
        return hashlib.sha256(repr((connection, options.retry, options.pages)).encode()).hexdigest()


class _Session:
    def __init__(self, endpoint: Endpoint, jobs: int, options: ClientOptions) -> None:
        self.endpoint = endpoint
        self.api = Api(Http(endpoint, jobs=jobs), options)
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def lock(self, path: str) -> asyncio.Lock:
        """Return the lock that keeps others from sending the same request; it exists as long as it is referenced."""
        return self._locks.setdefault(path, asyncio.Lock())


class Sessions:
    """Opens sessions on first use. Uses the client options of the context in which it was made.

    Args:
        host: The API base URL; None for the server that is configured at the time.
        jobs: How many connections each session may have.
        on_change: Called when the server or its credentials have changed since the last use.
    """

    def __init__(self, host: str | None, jobs: int, on_change: Callable[[], object]) -> None:
        self._host = host
        self._jobs = jobs
        self._on_change = on_change
        self._options = current_options()
        self._pid = os.getpid()
        self._opened: dict[asyncio.AbstractEventLoop, list[_Session]] = {}

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[_Session]:
        """Return the session of the running loop.

        Raises:
            FileNotFoundError: In place of NotFoundError, which is not an OSError.
        """
        endpoint = await to_thread(find_endpoint, self._host, self._options.connection)
        try:
            yield self._session(endpoint)
        except NotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, str(error)) from error

    def _session(self, endpoint: Endpoint) -> _Session:
        self._forget_closed_loops()
        sessions = self._opened.setdefault(asyncio.get_running_loop(), [])
        if not sessions or sessions[-1].endpoint != endpoint:
            if sessions:
                self._on_change()
            # Earlier ones stay open for readers that still use them.
            sessions.append(_Session(endpoint, self._jobs, self._options))
        return sessions[-1]

    def _forget_closed_loops(self) -> None:
        for loop in [loop for loop in self._opened if loop.is_closed()]:
            for session in self._opened.pop(loop):
                _abandon(session.api)

    async def close_here(self) -> None:
        """Close the sessions of the running loop."""
        for session in self._opened.pop(asyncio.get_running_loop(), []):
            await session.api.close()

    def close(self) -> None:
        """Close all sessions, from any thread."""
        if os.getpid() != self._pid:
            return  # The connections belong to the process that this one was forked from.
        while self._opened:
            loop, sessions = self._opened.popitem()
            for session in sessions:
                _close(loop, session.api)


def _close(loop: asyncio.AbstractEventLoop, api: Api) -> None:
    if not loop.is_running():
        _abandon(api)
        return
    closing = asyncio.run_coroutine_threadsafe(api.close(), loop)
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is not loop:
        with contextlib.suppress(Exception):
            closing.result(_CLOSE_TIMEOUT)


def _abandon(api: Api) -> None:
    """Close a session whose loop has ended: nothing can be awaited, so only the first step of closing is done."""
    closing = api.close()
    with contextlib.suppress(StopIteration, RuntimeError):
        closing.send(None)
    closing.close()
