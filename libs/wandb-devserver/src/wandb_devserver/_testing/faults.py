"""Fault injection for tests."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from wandb_devserver._errors import UsageError

Kind: TypeAlias = Literal["graphql", "file_stream", "upload", "download"]
"""The purpose of a request."""

KINDS: tuple[Kind, ...] = ("graphql", "file_stream", "upload", "download")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave, and the requests that meet it.

    A fault with neither `status` nor `drop` serves the request and changes the response.
    """

    kind: Kind
    """Requests of this kind meet the fault."""

    operation: str | None = None
    """Only this GraphQL operation, such as `UpsertBucket`; None for all."""

    target: str | None = None
    """Only this run (for `file_stream`, its id) or file (for `upload` and `download`, its name)."""

    count: int | None = 1
    """How many requests meet the fault; None for all until it is cleared."""

    delay: float = 0.0
    """Seconds to wait before anything else."""

    status: int | None = None
    """Respond with this HTTP status."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of that response, such as `{"Retry-After": "1"}`."""

    body: str = ""
    """Body of that response."""

    drop: bool = False
    """Close the connection without a response."""

    applied: bool = False
    """With `status` or `drop`: serve the request first, so that only the response is lost."""

    drop_after: int | None = None
    """Send this many bytes of the true body, then close the connection."""

    truncate_to: int | None = None
    """Respond with only this many bytes of the true body, as if that were all."""

    wrong_bytes: bool = False
    """Respond with a body of the right length and wrong contents."""

    wrong_md5: bool = False
    """With `graphql`: state a wrong MD5 for every file in the response."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            msg = f"kind is {self.kind!r}: use one of {', '.join(KINDS)}"
            raise UsageError(msg)
        if self.operation is not None and self.kind != "graphql":
            msg = f"operation is {self.operation!r} in a fault of kind {self.kind!r}: only 'graphql' has operations"
            raise UsageError(msg)

        if self.count is not None and self.count < 1:
            msg = f"count is {self.count}: use 1 or more, or None for all requests"
            raise UsageError(msg)
        if self.wrong_md5 and self.kind != "graphql":
            msg = f"wrong_md5 in a fault of kind {self.kind!r}: only 'graphql' responses state an MD5"
            raise UsageError(msg)
        if not (self.delay or self.wrong_md5 or self.replaces_response or self.alters_body):
            msg = f"a fault of kind {self.kind!r} with no effect: give a status, drop, delay or one of the others"
            raise UsageError(msg)

    @property
    def replaces_response(self) -> bool:
        return self.drop or self.status is not None

    @property
    def alters_body(self) -> bool:
        return self.wrong_bytes or self.drop_after is not None or self.truncate_to is not None


class Faults:
    """The current faults of a server. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._left: list[tuple[Fault, int | None]] = []
        self._fired: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Add a fault behind the current ones; return it."""
        with self._changed:
            self._left.append((fault, fault.count))
        return fault

    def clear(self) -> None:
        """Remove all faults. The counts of fired faults stay."""
        with self._changed:
            self._left.clear()

    def fired(self, fault: Fault | None = None) -> int:
        """Return how often `fault` occurred, or all faults together."""
        with self._changed:
            return self._count(fault)

    def wait(self, fault: Fault | None = None, *, count: int = 1, timeout: float = 30.0) -> None:
        """Block until `fault` (or any) has occurred `count` times.

        Raises:
            TimeoutError: if that takes more than `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count(fault) >= count, timeout):
                msg = f"{fault or 'any fault'} occurred {self._count(fault)} times in {timeout} s, not {count}"
                raise TimeoutError(msg)

    def take(self, kind: Kind, *, operation: str | None = None, target: str | None = None) -> Fault | None:
        """Return the first fault that a request meets, and count it."""
        with self._changed:
            for index, (fault, left) in enumerate(self._left):
                if fault.kind != kind or fault.operation not in (None, operation) or fault.target not in (None, target):
                    continue
                if left is not None:
                    self._left[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                self._fired.append(fault)
                self._changed.notify_all()
                return fault
        return None

    def _count(self, fault: Fault | None) -> int:
        return len(self._fired) if fault is None else sum(met is fault for met in self._fired)
