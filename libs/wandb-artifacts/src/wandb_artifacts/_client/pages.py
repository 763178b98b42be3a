"""Paged lists: one rule for all of them, by which a page that is not valid raises and no list is cut short."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from wandb_artifacts._errors import ServerAnswerError

Node: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """One page of a GraphQL connection."""

    nodes: list[Node]
    next_cursor: str | None
    """The cursor of the page that follows; None for the last page."""


def read_page(connection: object, what: str) -> Page:
    """Parse a GraphQL connection: `edges { node cursor }` and `pageInfo { hasNextPage endCursor }`.

    Args:
        connection: The value of the field.
        what: What is listed, for errors.

    Raises:
        ServerAnswerError: The page is null, an item is null, or it is unknown whether and where the list continues.
    """
    if not isinstance(connection, dict):
        raise _invalid(what, "the page is null")
    edges, info = connection.get("edges"), connection.get("pageInfo")
    if not isinstance(edges, list) or not all(isinstance(edge, dict) for edge in edges):
        raise _invalid(what, "the page has no edges")
    nodes = [edge.get("node") for edge in edges]
    if not all(isinstance(node, dict) for node in nodes):
        raise _invalid(what, "an item of the page is null")
    if not isinstance(info, dict) or not isinstance(info.get("hasNextPage"), bool):
        raise _invalid(what, "the page has no pageInfo")
    if not info["hasNextPage"]:
        return Page(nodes, None)
    cursor = info.get("endCursor") or (edges[-1].get("cursor") if edges else None)
    if not isinstance(cursor, str) or not cursor:
        raise _invalid(what, "there is a next page, but no cursor for it")
    return Page(nodes, cursor)


async def iterate_pages(
    fetch: Callable[[str | None], Awaitable[Page]], *, what: str, first: Page | None = None
) -> AsyncIterator[list[Node]]:
    """Yield the items of each page until the last.

    Args:
        fetch: Returns the page at a cursor; None stands for the first page.
        what: What is listed, for errors.
        first: The first page, if it has been fetched already.

    Raises:
        ServerAnswerError: W&B returned a cursor twice.
    """
    page, cursors = first or await fetch(None), Cursors(what)
    while True:
        yield page.nodes
        cursor = cursors.after(page)
        if cursor is None:
            return
        page = await fetch(cursor)


class Cursors:
    """The cursors that a list has had so far."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: set[str] = set()

    def after(self, page: Page) -> str | None:
        """Return the cursor of the page after this one; None after the last.

        Raises:
            ServerAnswerError: W&B has returned the cursor before.
        """
        if page.next_cursor in self._seen:
            raise _invalid(self._what, "pagination stalled, W&B returned the same cursor twice")
        if page.next_cursor is not None:
            self._seen.add(page.next_cursor)
        return page.next_cursor


def _invalid(what: str, reason: str) -> ServerAnswerError:
    return ServerAnswerError(f"{what}: W&B returned an invalid list: {reason}")
