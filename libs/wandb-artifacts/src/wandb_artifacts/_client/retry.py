"""Retries: `is_transient`, which classifies errors, and `Retrier`, the one place that repeats a request."""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from wandb_artifacts._client.options import RetryPolicy, current_options
from wandb_artifacts._errors import ServerUnavailableError

R = TypeVar("R")

_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_MAX_CHAIN = 8
_TRANSPORT_ERRORS = frozenset(
    {
        "aiohttp.ClientConnectionError",
        "aiohttp.ClientPayloadError",
        "httpx.TransportError",
        "requests.ConnectionError",
        "requests.Timeout",
    }
)
"""Connection errors of HTTP clients, which do not derive from the builtin ones."""


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed a moment later.

    Looks at the exception only, through what it wraps or was caused by. Status codes are read where wandb
    (`exc.response.http_status`), httpx and requests (`response.status_code`), aiohttp and this package (`status`) keep
    them, without importing these libraries.

    Args:
        error: An exception raised by a request to W&B.

    Returns:
        True for a timeout, a broken or refused connection, HTTP 408, 425, 429 and 5xx. False for everything else: a
        wrong key, a missing run and an invalid argument do not go away on a retry.
    """
    for link in _chain(error):
        status = _http_status(link)
        if status:
            return is_transient_status(status)
        if isinstance(link, (ConnectionError, TimeoutError)) or _is_transport_error(link):
            return True
    return False


def is_transient_status(status: int) -> bool:
    """Return whether a response with this HTTP status is worth a retry."""
    return status in _TRANSIENT_STATUSES or 500 <= status <= 599


class TransientError(Exception):
    """An attempt failed, and the same request may succeed a moment later.

    Args:
        reason: What happened; without URLs and headers.
        status: The HTTP status of the response.
        retry_after: Seconds that the server wants to be left alone.
        pauses_all: Whether all requests should pause, not only this one (429).
        is_outage: Whether the server as a whole seems to be unavailable: no connection, or a 5xx.
        may_be_applied: Whether the server may have processed the request although the response is missing.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        pauses_all: bool = False,
        is_outage: bool = False,
        may_be_applied: bool = True,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after
        self.pauses_all = pauses_all
        self.is_outage = is_outage
        self.may_be_applied = may_be_applied


class Retrier:
    """Repeats attempts that fail with `TransientError`. A rate limit of the server pauses all attempts together.

    Args:
        policy: How often and after which waits; None for the policy of the context.
    """

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self.policy = policy or current_options().retry
        self.last_error: TransientError | None = None
        self._paused_until = 0.0
        self._last_response = time.monotonic()
        self._outage: tuple[float, ServerUnavailableError] | None = None

    async def __call__(
        self,
        attempt: Callable[[], Awaitable[R]],
        *,
        what: str,
        progress: Callable[[], object] | None = None,
        is_repeatable: bool = True,
    ) -> R:
        """Await `attempt` until it succeeds.

        Args:
            attempt: Raises `TransientError` for failures that are worth a retry.
            what: What is attempted, for the error.
            progress: Returns another value after an attempt that made progress; this resets the count of attempts.
            is_repeatable: Whether a request that the server may have processed can be repeated.

        Raises:
            ServerUnavailableError: All attempts failed.
        """
        if self._outage and time.monotonic() - self._outage[0] < self.policy.down_for:
            # The other requests of a download need not each find out that the server is down.
            raise unavailable(str(self._outage[1]), self._outage[1].status)
        start = time.monotonic()
        attempts = _Attempts(self.policy, progress, lambda: self._last_response)
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_exception(lambda error: _should_retry(error, is_repeatable=is_repeatable)),
            wait=attempts.wait,
            stop=attempts.stop,
            before_sleep=self._note,
            reraise=True,
        )

        async def once() -> R:
            await self._wait_for_pause()
            found = await attempt()
            self._last_response = time.monotonic()
            return found

        try:
            return await retrying(once)
        except TransientError as error:
            count = max(attempts.count, 1)
            failure = unavailable(f"{what}: {error} ({count} attempt{'s' if count > 1 else ''})", error.status)
            if error.is_outage and self._last_response < start:
                self._outage = time.monotonic(), failure
            raise failure from None

    def _note(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransientError):
            self.last_error = error
            if error.pauses_all:
                pause = error.retry_after if error.retry_after is not None else state.upcoming_sleep
                self._paused_until = max(self._paused_until, time.monotonic() + pause)

    async def _wait_for_pause(self) -> None:
        while (left := self._paused_until - time.monotonic()) > 0:  # noqa: ASYNC110 - a time, not an event
            # With jitter, so that the requests do not all start at the end of the pause.
            await asyncio.sleep(left + random.uniform(0, self.policy.first_wait))  # noqa: S311


class _Attempts:
    """The number of attempts, and the waits between them."""

    def __init__(
        self, policy: RetryPolicy, progress: Callable[[], object] | None, last_response: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._progress = progress
        self._last_progress = progress() if progress else None
        self._last_response = last_response
        self._served_at = last_response()
        self._without_progress = 0
        self.count = 0

    def stop(self, state: RetryCallState) -> bool:
        self.count += 1
        error = state.outcome.exception() if state.outcome else None
        self._without_progress = 1 if self._has_progressed(error) else self._without_progress + 1
        is_too_long = isinstance(error, TransientError) and (error.retry_after or 0) > self._policy.longest_retry_after
        limit = self._policy.attempts
        return is_too_long or (limit is not None and self._without_progress >= limit)

    def _has_progressed(self, error: BaseException | None) -> bool:
        before, self._last_progress = self._last_progress, self._progress() if self._progress else None
        if self._last_progress != before:
            return True
        if not (isinstance(error, TransientError) and error.pauses_all):
            return False
        # A rate limit is not a failure while the server serves other requests: the turn of this one will come.
        served_at, self._served_at = self._served_at, self._last_response()
        return self._served_at != served_at

    def wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        requested = error.retry_after if isinstance(error, TransientError) else None
        # Tenacity computes the wait before it decides whether to stop. The exponent is bounded for endless retries.
        doublings = min(self._without_progress, 32)
        ceiling = min(self._policy.first_wait * 2.0**doublings, self._policy.longest_wait)
        return (requested or 0.0) + random.uniform(0, ceiling)  # noqa: S311


def unavailable(message: str, status: int | None) -> ServerUnavailableError:
    """Return the error for a server that did not give a usable response."""
    error = ServerUnavailableError(message)
    error.status = status
    return error


def read_retry_after(value: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, which holds seconds or a date (RFC 9110, 10.2.3)."""
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


def _should_retry(error: BaseException, *, is_repeatable: bool) -> bool:
    return isinstance(error, TransientError) and (is_repeatable or not error.may_be_applied)


def _chain(error: BaseException) -> list[BaseException]:
    """Return the exception and its causes; `exc` is where wandb.errors.CommError keeps its cause."""
    links: list[BaseException] = []
    link: object = error
    while isinstance(link, BaseException) and link not in links and len(links) < _MAX_CHAIN:
        links.append(link)
        link = getattr(link, "exc", None) or link.__cause__
    return links


def _http_status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    status = (
        getattr(response, "http_status", None)
        or getattr(response, "status_code", None)
        or getattr(error, "status", None)
    )
    return status if isinstance(status, int) else 0


def _is_transport_error(error: BaseException) -> bool:
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return not kinds.isdisjoint(_TRANSPORT_ERRORS)
