"""A scan of all rows of a run, in pages of steps whose width adapts to the responses."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from wandb_artifacts._client.bodies import ResponseTooLargeError
from wandb_artifacts._history.steps import check_steps, quick_steps

if TYPE_CHECKING:
    from wandb_artifacts._history.exports import RunExports

_PAGE_CHARS = 1_000_000
_FIRST_ROWS = 2_000
_MOST_ROWS = 10_000
_CAREFUL_ROWS = 250
_FEWEST_SAMPLES = 1_000
_MOST_SAMPLES = 2**31 - 1
_GROWTH = 8
"""The maximum growth from page to page; a page that is too wide must be split, which costs a request."""
_ALL_STEPS = 2**53
"""Beyond every step: steps are integers that a double represents exactly."""


@dataclass(frozen=True)
class HistorySource:
    """The history of one run, read by ranges of steps."""

    last_step: int
    """The highest step that was logged when the scan began; -1 if none was."""
    line_count: int | None
    """The number of rows at W&B when the scan began; None if W&B does not report it."""
    row_size: int
    """The expected length of a row in characters; a guess, for the first pages."""
    page: Callable[[int, int, int], Awaitable[list[str]]]
    """Returns the rows with `first <= _step < end` in order, each a JSON object as text.

    Called with `first`, `end` and `samples`: W&B may thin out a range that has more rows than `samples`.
    """
    first_step: int = 0
    """The first step that is read; the counts are of the rows from there on."""
    exports: RunExports | None = None
    """The exported part of the history, if it is to be used."""
    count_again: Callable[[], Awaitable[int | None]] | None = None
    """Returns the number of rows at W&B now; None if more may be logged, or W&B does not report it."""

    @property
    def steps(self) -> int:
        """The number of steps to read."""
        return _ALL_STEPS if self.last_step < 0 else max(self.last_step + 1 - self.first_step, 1)

    def without_exported(self, rows: int, live_steps: tuple[int, int] | None) -> HistorySource:
        """Return what is left to read by pages.

        Args:
            rows: The number of exported rows that were read.
            live_steps: The first and the last step of rows that are not exported; None if all are.
        """
        if live_steps is None:
            return replace(self, line_count=0, last_step=-1)
        first, last = live_steps
        count = None if self.line_count is None else max(self.line_count - rows, 0)
        return replace(self, line_count=count, first_step=first, last_step=max(self.last_step, last))

    def fits_one_page(self) -> bool:
        """Return whether all rows are expected in the first page."""
        return self.line_count is not None and self.line_count <= _first_rows(self)


async def scan(source: HistorySource, *, ahead: int, is_careful: bool = False) -> AsyncGenerator[list[str], None]:
    """Yield the rows in the order of their steps, page by page.

    Args:
        source: The history.
        ahead: The number of pages that are requested, or wait for the caller, at the same time.
        is_careful: Request few rows at a time, and far more samples, for a server that thins out early.

    Raises:
        ServerAnswerError: W&B returned other rows than requested, out of order, or twice.
    """
    pages = _Pages(source, ahead, is_careful=is_careful)
    try:
        while rows := await pages.next():
            yield rows
    finally:
        await pages.close()


@dataclass
class _Page:
    first: int
    end: int
    samples: int
    limit: int
    """A response with this many rows may have been thinned out."""
    task: asyncio.Task[list[str]] | None = field(default=None, repr=False)


class _Pages:
    """The pages of a scan that are requested or known to be needed, in order."""

    def __init__(self, source: HistorySource, ahead: int, *, is_careful: bool) -> None:
        self._source = source
        self._ahead = max(ahead, 1)
        self._pace = _Pace(source, is_careful=is_careful)
        self._queue: deque[_Page] = deque()
        self._position = source.first_step
        self._end = _ALL_STEPS if source.last_step < 0 else source.last_step + 1
        self._found = 0

    async def next(self) -> list[str]:
        """Return the rows of the next page that is not empty; an empty list at the end."""
        while True:
            self._request()
            if not self._queue:
                if not self._lacks_rows() or self._end == _ALL_STEPS:
                    return []
                # Steps that were logged after W&B had reported the last step.
                self._end = _ALL_STEPS
                self._queue.append(self._pace.page(self._position, self._end))
                self._position = self._end
                continue
            page = self._queue[0]
            assert page.task
            try:
                rows = await page.task
            except ResponseTooLargeError:
                if page.end - page.first < 2:
                    raise
                self._queue.popleft()
                self._queue.extendleft(reversed(self._pace.smaller(page)))
                continue
            check_steps(rows, page.first, page.end)
            self._queue.popleft()
            if len(rows) >= page.limit and (narrower := self._split(page, rows)):
                self._queue.extendleft(reversed(narrower))
                continue
            self._pace.learn(page, rows)
            self._found += len(rows)
            self._request()
            if rows:
                return rows

    async def close(self) -> None:
        tasks = [page.task for page in self._queue if page.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _lacks_rows(self) -> bool:
        return self._source.line_count is not None and self._found < self._source.line_count

    def _request(self) -> None:
        """Start requests up to the limit; parts of split pages first."""
        room = (self._ahead if self._pace.has_learned else 1) - sum(page.task is not None for page in self._queue)
        for page in self._queue:
            if room <= 0:
                return
            if page.task is None:
                self._start(page)
                room -= 1
        while room > 0 and self._position < self._end and not self._is_past_all():
            page = self._pace.page(self._position, self._end)
            self._position = page.end
            self._queue.append(page)
            self._start(page)
            room -= 1

    def _start(self, page: _Page) -> None:
        page.task = asyncio.ensure_future(self._source.page(page.first, page.end, page.samples))

    def _is_past_all(self) -> bool:
        """Return whether all rows were found, if W&B does not report the last step."""
        return self._end == _ALL_STEPS and self._source.line_count is not None and not self._lacks_rows()

    def _split(self, page: _Page, rows: list[str]) -> list[_Page]:
        """Return the pages to request in place of one that may have been thinned out; empty if it was not."""
        if page.end - page.first == 1:
            if len(rows) < page.samples or page.samples == _MOST_SAMPLES:
                return []
            samples = min(max(page.samples * _GROWTH, len(rows) * 2), _MOST_SAMPLES)
            return [_Page(page.first, page.end, samples, samples)]
        cuts = [page.first, *_cuts(page, rows, self._pace.parts(len(rows))), page.end]
        return [self._pace.exactly(first, end) for first, end in pairwise(cuts)]


class _Pace:
    """The width of the pages."""

    def __init__(self, source: HistorySource, *, is_careful: bool) -> None:
        steps = source.steps
        self._rows = min(_CAREFUL_ROWS, _first_rows(source)) if is_careful else _first_rows(source)
        self._is_careful = is_careful
        known = source.line_count
        # Rows per step. If unknown: one row per step, or one row in all.
        self._density = known / steps if known else (1.0 if source.last_step >= 0 else 1 / steps)
        self.has_learned = is_careful

    def page(self, first: int, end: int) -> _Page:
        """Return the page that begins at a step."""
        width = min(max(self._rows / self._density, 1), end - first)
        # A narrow remainder is not worth a separate request.
        last = first + int(width)
        return self.exactly(first, end if end - last < width / 4 else last)

    def exactly(self, first: int, end: int) -> _Page:
        samples = max(_FEWEST_SAMPLES, 2 * self._rows)
        if self._is_careful:
            return _Page(first, end, samples * _GROWTH, 2 * self._rows)
        return _Page(first, end, samples, samples)

    def smaller(self, page: _Page) -> list[_Page]:
        """Return the pages to request in place of one whose rows are too large for one response."""
        self._rows = max(self._rows // _GROWTH, 1)
        self.has_learned = True
        middle = (page.first + page.end) // 2
        return [self.exactly(page.first, middle), self.exactly(middle, page.end)]

    def parts(self, rows: int) -> int:
        """Return into how many pages to split one that returned so many rows."""
        return max(2, math.ceil(4 * rows / self._rows))

    def learn(self, page: _Page, rows: list[str]) -> None:
        seen = len(rows) / (page.end - page.first)
        self._density = max(seen, self._density / _GROWTH)
        self.has_learned = True
        if rows and not self._is_careful:
            size = max(sum(map(len, rows)) / len(rows), 1)
            self._rows = min(max(int(_PAGE_CHARS / size), 1), _MOST_ROWS)


def _first_rows(source: HistorySource) -> int:
    return min(max(2 * _PAGE_CHARS // max(source.row_size, 1), 1), _FIRST_ROWS)


def _cuts(page: _Page, rows: list[str], parts: int) -> list[int]:
    """Return steps that divide a range into parts with about as many rows; the returned rows are a sample."""
    steps = sorted(quick_steps(rows))
    marks = {steps[len(steps) * part // parts] for part in range(1, parts)} if steps else set()
    found = sorted(step for step in marks if page.first < step < page.end)
    if found:
        return found
    # Most rows have the first step, or no row has a readable step.
    return [page.first + 1 if page.first in marks else (page.first + page.end) // 2]
