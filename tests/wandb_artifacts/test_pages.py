"""Pages of lists: an invalid page raises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import NotFoundError, ServerAnswerError
from wandb_artifacts._client.bodies import ResponseTooLargeError
from wandb_artifacts._client.pages import Fitting, Node, Page, iterate_pages, read_page

if TYPE_CHECKING:
    from collections.abc import Mapping

EDGE: dict[str, Any] = {"node": {"name": "a"}, "cursor": "1"}


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ({"edges": [EDGE], "pageInfo": {"hasNextPage": False}}, None),
        ({"edges": [], "pageInfo": {"hasNextPage": False}}, None),
        ({"edges": [EDGE], "pageInfo": {"hasNextPage": True}}, "1"),
        ({"edges": [EDGE], "pageInfo": {"hasNextPage": True, "endCursor": "2"}}, "2"),
    ],
)
def test_valid_page_has_the_next_cursor(connection: Mapping[str, Any], expected: str | None) -> None:
    assert read_page(connection, "it").next_cursor == expected


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (None, "expected object, got null"),
        ([], "expected object, got array"),
        ({"pageInfo": {"hasNextPage": False}}, "required field edges"),
        ({"edges": None, "pageInfo": {"hasNextPage": False}}, "edges: expected array, got null"),
        ({"edges": [None], "pageInfo": {"hasNextPage": False}}, r"edges\[0\]: expected object"),
        ({"edges": [{"node": None}], "pageInfo": {"hasNextPage": False}}, r"edges\[0\]\.node: expected object"),
        ({"edges": [EDGE]}, "required field pageInfo"),
        ({"edges": [EDGE], "pageInfo": None}, "pageInfo: expected object"),
        ({"edges": [EDGE], "pageInfo": {"hasNextPage": None}}, r"pageInfo\.hasNextPage: expected bool"),
        ({"edges": [], "pageInfo": {"hasNextPage": True, "endCursor": "2"}}, "a page is empty"),
        ({"edges": [{"node": {}, "cursor": None}], "pageInfo": {"hasNextPage": True}}, "no cursor"),
        ({"edges": [{"node": {}, "cursor": ""}], "pageInfo": {"hasNextPage": True}}, "no cursor"),
    ],
)
def test_invalid_page_raises(connection: object, reason: str) -> None:
    with pytest.raises(ServerAnswerError, match=rf"^it: W&B returned an invalid .*{reason}"):
        read_page(connection, "it")


def walk(cursors: Mapping[str | None, str | None], first: Page[Node] | None = None) -> list[str | None]:
    """Return the cursors that were requested, where each page names the cursor of the next."""
    requested: list[str | None] = []

    async def fetch(cursor: str | None) -> Page[Node]:
        requested.append(cursor)
        return Page([{}], cursors[cursor])

    async def collect() -> None:
        async for _ in iterate_pages(fetch, what="it", first=first):
            assert len(requested) < 10

    asyncio.run(collect())
    return requested


def test_all_pages_are_requested_in_order() -> None:
    assert walk({None: "a", "a": "b", "b": None}) == [None, "a", "b"]
    assert walk({"a": None}, first=Page([], "a")) == ["a"]


@pytest.mark.parametrize(
    "cursors", [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}], ids=["same cursor", "alternating cursors"]
)
def test_stalled_pagination_raises(cursors: Mapping[str | None, str | None]) -> None:
    with pytest.raises(ServerAnswerError, match="pagination stalled"):
        walk(cursors)


@pytest.mark.parametrize("second", [Page[Node]([], None), NotFoundError("gone")], ids=["empty", "missing"])
def test_announced_page_must_exist(second: Page[Node] | Exception) -> None:
    async def fetch(cursor: str | None) -> Page[Node]:
        if cursor is None:
            return Page([{}], "a")
        if isinstance(second, Exception):
            raise second
        return second

    async def collect() -> None:
        async for _ in iterate_pages(fetch, what="it"):
            pass

    with pytest.raises(ServerAnswerError, match=r"^it: W&B returned an invalid list: W&B announced another page"):
        asyncio.run(collect())


def test_fewer_items_are_requested_if_a_response_is_too_large() -> None:
    requested: list[int] = []

    async def fetch(count: int) -> int:
        requested.append(count)
        if count > fits:
            msg = "too large"
            raise ResponseTooLargeError(msg)
        return count

    fits = 1
    fitting = Fitting(50)
    assert asyncio.run(fitting(fetch)) == 1
    assert asyncio.run(fitting(fetch)) == 1
    assert requested == [50, 6, 1, 1]
    fits = 0
    with pytest.raises(ResponseTooLargeError):
        asyncio.run(fitting(fetch))


def test_no_more_items_are_requested_than_are_needed() -> None:
    async def fetch(count: int) -> int:
        return count

    fitting = Fitting(50)
    assert asyncio.run(fitting(fetch, limit=3)) == 3
    assert asyncio.run(fitting(fetch)) == 50
