"""Retries and their limits."""

from __future__ import annotations

import asyncio
import email.utils
import time
from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import IncompleteDownloadError, ServerUnavailableError, download_run
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_artifacts._client.retry import Retrier, TransientError, read_retry_after
from wandb_devserver import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


ATTEMPTS = RetryPolicy().attempts or 0


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with use_options(retry=RetryPolicy(first_wait=0.001, longest_wait=0.001)):
        yield


def failing(*errors: TransientError | None) -> Callable[[], Awaitable[float]]:
    """Return a call that raises these errors in turn, and then returns the time."""
    left = list(errors)

    async def attempt() -> float:
        if left and (error := left.pop(0)):
            raise error
        return time.monotonic()

    return attempt


def test_progress_resets_the_attempts() -> None:
    gained = 0

    async def attempt() -> int:
        nonlocal gained
        gained += 1
        if gained < 3 * ATTEMPTS:
            msg = "broke off"
            raise TransientError(msg)
        return gained

    assert asyncio.run(Retrier()(attempt, what="it", progress=lambda: gained)) == 3 * ATTEMPTS


def test_attempts_are_limited() -> None:
    """The error has what failed, why and how often; it has no cause that could leak more."""
    attempt = failing(*[TransientError("W&B responded with 500")] * 100)

    with pytest.raises(ServerUnavailableError, match=r"the list: W&B responded with 500 \(8 attempts\)") as caught:
        asyncio.run(Retrier()(attempt, what="the list"))

    assert caught.value.__cause__ is None


def test_retry_after_pauses_all_requests() -> None:
    limited = TransientError("W&B responded with 429", retry_after=0.3, pauses_all=True)

    async def main() -> tuple[float, float]:
        repeat, begin = Retrier(), time.monotonic()
        first = asyncio.ensure_future(repeat(failing(limited), what="first"))
        await asyncio.sleep(0)
        while repeat.last_error is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        second = await repeat(failing(), what="second")
        return await first - begin, second - begin

    assert min(asyncio.run(main())) >= 0.3


def test_retry_after_delays_the_retry() -> None:
    """This holds also where it concerns a single request."""
    begin = time.monotonic()

    end = asyncio.run(Retrier()(failing(TransientError("W&B responded with 500", retry_after=0.2)), what="it"))

    assert end - begin >= 0.2


def test_long_retry_after_raises_at_once() -> None:
    """A server that is unavailable for a day is down."""
    attempt = failing(TransientError("W&B responded with 503", retry_after=86400.0))

    with pytest.raises(ServerUnavailableError):
        asyncio.run(Retrier()(attempt, what="it"))


def test_rate_limit_is_not_a_failure_while_other_requests_succeed() -> None:
    """A request that W&B refuses for its rate again and again is repeated as long as it serves others in between."""
    retrier = Retrier()

    def limited() -> TransientError:
        return TransientError("W&B responded with 429", status=429, retry_after=0.0, pauses_all=True)

    left = [limited() for _ in range(3 * ATTEMPTS)]

    async def refused() -> int:
        if not left:
            return 1
        if is_served:
            await retrier(failing(), what="another")
        raise left.pop()

    is_served = True
    assert asyncio.run(retrier(refused, what="it")) == 1
    is_served, left = False, [limited() for _ in range(3 * ATTEMPTS)]
    with pytest.raises(ServerUnavailableError, match=f"{ATTEMPTS} attempts"):
        asyncio.run(retrier(refused, what="it"))


@pytest.mark.parametrize(
    ("text", "expected"), [(None, None), ("3", 3.0), ("-1", 0.0), ("soon", None), ("", None), ("nan", None)]
)
def test_retry_after_in_seconds_is_parsed(text: str | None, expected: float | None) -> None:
    assert read_retry_after(text) == expected


def test_retry_after_date_is_parsed() -> None:
    found = read_retry_after(email.utils.formatdate(time.time() + 100, usegmt=True))

    assert found is not None
    assert 50 < found <= 100


def test_unreachable_server_fails_the_remaining_files_at_once(backend: WandbBackend, tmp_path: Path) -> None:
    """After one file failed while nothing else succeeded, the others fail without a retry; all are listed."""
    path = backend.run(files={f"f{index}": b"x" for index in range(5)})
    fault = backend.server.faults.add(Fault("download", status=500, count=None))

    with pytest.raises(IncompleteDownloadError) as caught:
        download_run(path, tmp_path, jobs=1, include_history=False)

    assert [failure.name for failure in caught.value.result.failed] == [f"f{index}" for index in range(5)]
    assert backend.server.faults.fired(fault) == ATTEMPTS


def test_wrong_bytes_do_not_affect_other_files(backend: WandbBackend, tmp_path: Path) -> None:
    """Wrong bytes are not an outage: the next file has its own attempts."""
    path = backend.run(files={"a": b"a", "b": b"b"})
    backend.server.faults.add(Fault("download", target="a", wrong_bytes=True, count=None))

    with pytest.raises(IncompleteDownloadError) as caught:
        download_run(path, tmp_path, jobs=1, include_history=False)

    assert [failure.name for failure in caught.value.result.failed] == ["a"]
