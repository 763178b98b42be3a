"""Request counts, for tests that wait for a request."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wandb_devserver._testing.faults import Kind


class RequestLog:
    """Counts requests by kind and, for GraphQL, by operation. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._counts: Counter[tuple[str, str | None]] = Counter()

    def count(self, kind: Kind, operation: str | None = None) -> int:
        """Return how many requests of this kind (and operation) were served, with or without a fault."""
        with self._changed:
            return self._count(kind, operation)

    def wait(self, kind: Kind, operation: str | None = None, *, count: int = 1, timeout: float = 30.0) -> None:
        """Block until `count` such requests were served.

        Raises:
            TimeoutError: if that takes more than `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count(kind, operation) >= count, timeout):
                what = f"{kind} {operation}" if operation else kind
                msg = f"{self._count(kind, operation)} requests of {what} in {timeout} s, not {count}"
                raise TimeoutError(msg)

    def note(self, kind: Kind, operation: str | None = None) -> None:
        with self._changed:
            self._counts[kind, operation] += 1
            self._changed.notify_all()

    def _count(self, kind: str, operation: str | None) -> int:
        if operation is not None:
            return self._counts[kind, operation]
        return sum(number for (seen, _), number in self._counts.items() if seen == kind)
