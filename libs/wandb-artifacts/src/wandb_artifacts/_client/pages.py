"""Paged lists: one rule for all of them, by which a page that is not valid raises and no list is cut short."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from wandb_artifacts._client.bodies import ResponseTooLargeError
from wandb_artifacts._client.responses import PagedList, read
from wandb_artifacts._errors import NotFoundError, ServerAnswerError

N = TypeVar("N")
T = TypeVar("T")

_REDUCTION = 8

Node: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Page(Generic[N]):
    """One page of a GraphQL connection."""

    nodes: list[N]
    next_cursor: str | None
    """The cursor of the page that follows; None for the last page."""


def to_page(found: PagedList[N], what: str) -> Page[N]:
    """Return the page of a GraphQL connection: `edges { node cursor }` and `pageInfo { hasNextPage endCursor }`.

    Args:
        found: The value of the field.
        what: What is listed, for errors.

    Raises:
        ServerAnswerError: It is unknown where the list continues, or the page is empty although the list continues.
    """
    nodes = [edge.node for edge in found.edges]
    if not found.page_info.has_next_page:
        return Page(nodes, None)
    if not nodes:
        raise _invalid(what, "a page is empty, but the list continues")
    cursor = found.page_info.end_cursor or found.edges[-1].cursor
    if not cursor:
        raise _invalid(what, "there is a next page, but no cursor for it")
    return Page(nodes, cursor)


def read_page(connection: object, what: str) -> Page[Node]:
    """Parse a GraphQL connection whose items are any objects; see `to_page`."""
    return to_page(read(PagedList[Node], connection, what), what)


async def iterate_pages(
    fetch: Callable[[str | None], Awaitable[Page[N]]], *, what: str, first: Page[N] | None = None
) -> AsyncIterator[list[N]]:
    """Yield the items of each page until the last.

    Args:
        fetch: Returns the page at a cursor; None stands for the first page.
        what: What is listed, for errors.
        first: The first page, if it has been fetched already.

    Raises:
        ServerAnswerError: The list does not end as W&B announced it; see `fetch_page` and `Cursors`.
    """
    page, cursors = first or await fetch(None), Cursors(what)
    while True:
        cursor = cursors.after(page)
        yield page.nodes
        if cursor is None:
            return
        page = await fetch_page(fetch, cursor, what)


async def fetch_page(fetch: Callable[[str | None], Awaitable[Page[N]]], cursor: str, what: str) -> Page[N]:
    """Fetch a page that W&B has announced.

    Raises:
        ServerAnswerError: It does not exist.
    """
    try:
        return await fetch(cursor)
    except NotFoundError as error:
        raise _invalid(what, f"W&B announced another page, and does not have it ({error})") from None


class Fitting:
    """Fetches pages of so many items; of fewer from then on, if they are larger than a response may be.

    Args:
        count: The number of items to request.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    async def __call__(self, fetch: Callable[[int], Awaitable[T]], *, limit: int | None = None) -> T:
        """Fetch a page.

        Args:
            fetch: Requests up to so many items.
            limit: How many items are needed at most.

        Raises:
            ResponseTooLargeError: A single item is too large.
        """
        while True:
            count = self._count if limit is None else min(self._count, limit)
            try:
                return await fetch(count)
            except ResponseTooLargeError:
                if count <= 1:
                    raise
            self._count = max(count // _REDUCTION, 1)


class Cursors:
    """The cursors that a list has had so far."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: set[str] = set()

    def after(self, page: Page[N]) -> str | None:
        """Return the cursor of the page after this one; None after the last.

        Raises:
            ServerAnswerError: W&B has returned the cursor before, or announced this page and left it empty.
        """
        if self._seen and not page.nodes:
            raise _invalid(self._what, "W&B announced another page, and returned an empty one")
        if page.next_cursor in self._seen:
            raise _invalid(self._what, "pagination stalled, W&B returned the same cursor twice")
        if page.next_cursor is not None:
            self._seen.add(page.next_cursor)
        return page.next_cursor


def _invalid(what: str, reason: str) -> ServerAnswerError:
    return ServerAnswerError(f"{what}: W&B returned an invalid list: {reason}")
