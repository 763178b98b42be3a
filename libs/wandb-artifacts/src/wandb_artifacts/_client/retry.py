"""The one place that asks again."""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from wandb_artifacts._errors import ServerUnavailableError

R = TypeVar("R")

FIRST_WAIT = 0.5
"""Seconds that the first wait lasts at most; each further one at most twice as long."""
LONGEST_WAIT = 30.0
ATTEMPTS = 8
"""How often something is tried without any progress: about a minute and a half at most, half of that on average."""
DOWN_FOR = 5.0
"""Seconds for which a server that was given up is not asked anything else."""
LONGEST_RETRY_AFTER = 600.0
"""Seconds; a server that wants more is not waited for."""


class TransientError(Exception):
    """The same request may succeed a moment later.

    Args:
        reason: What happened; no address, no header.
        retry_after: Seconds that the server asks to be left alone.
        is_for_all: Whether every request should pause, not only this one (429).
        is_no_answer: Whether it speaks against the server as a whole: no connection, or an error of its own.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        is_for_all: bool = False,
        is_no_answer: bool = False,
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.is_for_all = is_for_all
        self.is_no_answer = is_no_answer


class Repeater:
    """Tries again what may pass, with full jitter; when the server asks for quiet, all requests pause together."""

    def __init__(self) -> None:
        self._quiet_until = 0.0
        self._last_answer = time.monotonic()
        self._given_up: tuple[float, str] | None = None
        self.last_trouble: str | None = None

    async def __call__(
        self, attempt: Callable[[], Awaitable[R]], *, what: str, gained: Callable[[], object] | None = None
    ) -> R:
        """Runs `attempt` until it succeeds.

        Args:
            attempt: Raises `TransientError` for what is worth another try.
            what: What is attempted, for the error.
            gained: What changes when an attempt got somewhere; the count begins anew then.

        Raises:
            ServerUnavailableError: It did not succeed in several attempts.
        """
        if self._given_up and time.monotonic() - self._given_up[0] < DOWN_FOR:
            # The rest of what was to be fetched need not find that out one by one.
            raise ServerUnavailableError(self._given_up[1])
        began = time.monotonic()
        tries = _Tries(gained)
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_exception_type(TransientError),
            wait=tries.wait,
            stop=tries.stop,
            before_sleep=self._note,
            reraise=True,
        )

        async def once() -> R:
            await self._quiet()
            found = await attempt()
            self._last_answer = time.monotonic()
            return found

        try:
            return await retrying(once)
        except TransientError as error:
            msg = f"{what}: {error} ({tries.count} attempts)"
            if error.is_no_answer and self._last_answer < began:
                self._given_up = time.monotonic(), msg
            raise ServerUnavailableError(msg) from None

    def _note(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransientError):
            self.last_trouble = str(error)
            if error.is_for_all:
                pause = error.retry_after if error.retry_after is not None else state.upcoming_sleep
                self._quiet_until = max(self._quiet_until, time.monotonic() + pause)

    async def _quiet(self) -> None:
        while (left := self._quiet_until - time.monotonic()) > 0:  # noqa: ASYNC110 - a time, not an event
            # Not all at once when the pause ends.
            await asyncio.sleep(left + random.uniform(0, FIRST_WAIT))  # noqa: S311


class _Tries:
    def __init__(self, gained: Callable[[], object] | None) -> None:
        self._gained = gained
        self._had = gained() if gained else None
        self._without_gain = 0
        self.count = 0

    def stop(self, state: RetryCallState) -> bool:
        self.count += 1
        has = self._gained() if self._gained else None
        self._without_gain = self._without_gain + 1 if has == self._had else 1
        self._had = has
        error = state.outcome.exception() if state.outcome else None
        too_long = isinstance(error, TransientError) and (error.retry_after or 0) > LONGEST_RETRY_AFTER
        return too_long or self._without_gain >= ATTEMPTS

    def wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, TransientError) else None
        # Tenacity asks for the wait before it asks whether to stop.
        ceiling = min(FIRST_WAIT * 2.0**self._without_gain, LONGEST_WAIT)
        return (asked or 0.0) + random.uniform(0, ceiling)  # noqa: S311


def read_retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header, which gives them or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


_TRANSIENT_STATUS = frozenset({408, 429})
_DEPTH = 8


def is_transient(error: BaseException) -> bool:
    """Tells whether the same request may succeed a moment later.

    Pure: it looks at the exception only, through what wraps or caused it. The status codes are read where wandb
    (`exc.response.http_status`), httpx and requests (`response.status_code`) keep them, without importing either.

    Args:
        error: What a request to W&B raised.

    Returns:
        True for a timeout, a broken or refused connection, HTTP 408, 429 and 5xx. False for everything else: a wrong
        key, a missing run and a bad argument do not go away by trying again.
    """
    for link in _chain(error):
        status = _http_status(link)
        if status:
            return status in _TRANSIENT_STATUS or 500 <= status <= 599
        if isinstance(link, (ConnectionError, TimeoutError)) or _is_transport_error(link):
            return True
    return False


def _chain(error: BaseException) -> list[BaseException]:
    """The exception and what stands behind it; `exc` is where wandb.errors.CommError keeps its own."""
    links: list[BaseException] = []
    link: object = error
    while isinstance(link, BaseException) and link not in links and len(links) < _DEPTH:
        links.append(link)
        link = getattr(link, "exc", None) or link.__cause__
    return links


def _http_status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    status = getattr(response, "http_status", None) or getattr(response, "status_code", None)
    return status if isinstance(status, int) else 0


def _is_transport_error(error: BaseException) -> bool:
    """True for httpx's and requests' own connection errors, which do not derive from the builtin ones."""
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return not kinds.isdisjoint({"httpx.TransportError", "requests.ConnectionError", "requests.Timeout"})
