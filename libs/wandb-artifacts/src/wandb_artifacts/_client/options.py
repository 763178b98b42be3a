"""Options of the client that are not arguments of public functions: connection, retry policy, page sizes.

They are a context variable, so that they reach every request of a call without being passed through each function.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wandb_artifacts._client.connection import Connection


@dataclass(frozen=True)
class RetryPolicy:
    """How transient failures are retried: full jitter, with waits that double."""

    first_wait: float = 0.5
    """Seconds; the upper bound of the first wait."""
    longest_wait: float = 30.0
    """Seconds; the upper bound of any wait."""
    attempts: int | None = 8
    """Attempts without progress: about 90 s at most, half of that on average. None: until a timeout ends them."""
    down_for: float = 5.0
    """Seconds for which requests fail at once after a server has proved to be unavailable."""
    longest_retry_after: float = 600.0
    """Seconds; a server that requests a longer pause is given up."""


@dataclass(frozen=True)
class PageSizes:
    """Items requested per page."""

    files: int = 1000
    """Files of one run."""
    files_of_each: int = 50
    """Files of each run in a page of runs."""
    outlines: int = 250
    """Runs without the names and URLs of their files."""
    artifact_files: int = 1000
    """Files of an artifact whose URLs are requested at once; URLs expire, so not all are requested at the start."""
    runs: int = 100
    """Runs with their details."""
    lines: int = 5_000
    """Console lines."""
    names: int = 500
    """Names of runs or projects."""


@dataclass(frozen=True)
class ClientOptions:
    connection: Connection | None = None
    """How W&B is reached; None for the environment's settings."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    pages: PageSizes = field(default_factory=PageSizes)
    history_pauses: tuple[float, ...] = (0, 1, 3)
    """Seconds before each repeated scan if rows are missing: W&B may count rows before it returns them."""
    pages_small_history: bool = True
    """Whether a history that fits one page is read as such, without a request for W&B's exports of it."""
    report_interval: float = 0.05
    """Seconds between two reports of bytes; starts and ends of files are always reported."""


_current: ContextVar[ClientOptions] = ContextVar("wandb_artifacts_client_options")


def current_options() -> ClientOptions:
    """Return the options of the current context."""
    return _current.get(ClientOptions())


@contextmanager
def use_options(**changes: Any) -> Iterator[None]:
    """Change fields of `ClientOptions` for the block."""
    token = _current.set(replace(current_options(), **changes))
    try:
        yield
    finally:
        _current.reset(token)
