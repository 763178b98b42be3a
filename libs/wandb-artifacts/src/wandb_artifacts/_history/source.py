from __future__ import annotations

from typing import Protocol


class HistorySource(Protocol):
    """The history of one run as W&B gives it: by ranges of steps."""

    @property
    def last_step(self) -> int:
        """The highest step that was logged when the scan began; -1 where nothing was."""
        ...

    @property
    def line_count(self) -> int | None:
        """How many rows W&B had then; None where it does not say."""
        ...

    @property
    def row_size(self) -> int:
        """How long a row may be expected to be, in characters: a guess, for the first pages."""
        ...

    async def page(self, first: int, end: int, samples: int) -> list[str]:
        """The rows with `first <= _step < end`, each a JSON object as text, in order.

        Args:
            first: The first step.
            end: The step after the last.
            samples: W&B may thin out a range that has more rows than this.
        """
        ...
