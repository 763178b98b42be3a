"""The sessions of a filesystem: one for each event loop that it is used on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import weakref
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.credentials import configured_host, find_key
from wandb_artifacts._client.http import Http
from wandb_artifacts._errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_PATIENCE = 1.0
"""Seconds that closing may take."""


class _Session:
    def __init__(self, server: tuple[str, str], jobs: int) -> None:
        self.server = server
        address, key = server
        self.api = Api(Http(address, key, jobs=jobs))
        self.locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def lock(self, path: str) -> asyncio.Lock:
        """Keeps others from asking for the same thing at the same time; lives as long as somebody holds it."""
        return self.locks.setdefault(path, asyncio.Lock())


class Sessions:
    """Opens sessions when they are needed.

    Args:
        host: The API address; None for the one that this machine is set up for at the time.
        jobs: How many connections each may have.
        changed: Called when the server or the key is another than before.
    """

    def __init__(self, host: str | None, jobs: int, changed: Callable[[], object]) -> None:
        self._host = host
        self._jobs = jobs
        self._changed = changed
        self._pid = os.getpid()
        self._opened: dict[asyncio.AbstractEventLoop, list[_Session]] = {}

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[_Session]:
        """The session of the running loop.

        Raises:
            FileNotFoundError: In place of NotFoundError, which is no OSError.
        """
        server = await to_thread(self._server)
        try:
            yield self._session(server)
        except NotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, str(error)) from error

    def _server(self) -> tuple[str, str]:
        address = self._host or configured_host()
        return address, find_key(address)

    def _session(self, server: tuple[str, str]) -> _Session:
        self._forget_closed_loops()
        sessions = self._opened.setdefault(asyncio.get_running_loop(), [])
        if not sessions or sessions[-1].server != server:
            if sessions:
                self._changed()
            # Those before stay open for who is still reading from them.
            sessions.append(_Session(server, self._jobs))
        return sessions[-1]

    def _forget_closed_loops(self) -> None:
        for loop in [loop for loop in self._opened if loop.is_closed()]:
            for session in self._opened.pop(loop):
                _abandon(session.api)

    async def close_here(self) -> None:
        """Closes what was opened on the running loop."""
        for session in self._opened.pop(asyncio.get_running_loop(), []):
            await session.api.close()

    def close(self) -> None:
        """Closes everything, from any thread."""
        if os.getpid() != self._pid:
            return  # The connections are those of the process that this one was forked from.
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
            closing.result(_PATIENCE)


def _abandon(api: Api) -> None:
    """Closes a session whose loop runs no more: nothing can be awaited, so the first step is all that is done."""
    closing = api.close()
    with contextlib.suppress(StopIteration, RuntimeError):
        closing.send(None)
    closing.close()
