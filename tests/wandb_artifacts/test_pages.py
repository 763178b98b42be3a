"""The rule for paged lists: a page that is not valid raises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import ServerAnswerError
from wandb_artifacts._client.pages import Page, iterate_pages, read_page

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
        ({"edges": [], "pageInfo": {"hasNextPage": True, "endCursor": "2"}}, "2"),
    ],
)
def test_valid_pages(connection: Mapping[str, Any], expected: str | None) -> None:
    assert read_page(connection, "it").next_cursor == expected


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (None, "the page is null"),
        ([], "the page is null"),
        ({"pageInfo": {"hasNextPage": False}}, "no edges"),
        ({"edges": None, "pageInfo": {"hasNextPage": False}}, "no edges"),
        ({"edges": [None], "pageInfo": {"hasNextPage": False}}, "no edges"),
        ({"edges": [{"node": None}], "pageInfo": {"hasNextPage": False}}, "an item of the page is null"),
        ({"edges": [EDGE]}, "no pageInfo"),
        ({"edges": [EDGE], "pageInfo": None}, "no pageInfo"),
        ({"edges": [EDGE], "pageInfo": {"hasNextPage": None}}, "no pageInfo"),
        ({"edges": [], "pageInfo": {"hasNextPage": True}}, "no cursor"),
        ({"edges": [{"node": {}, "cursor": None}], "pageInfo": {"hasNextPage": True}}, "no cursor"),
        ({"edges": [{"node": {}, "cursor": ""}], "pageInfo": {"hasNextPage": True}}, "no cursor"),
    ],
)
def test_invalid_pages_raise(connection: object, reason: str) -> None:
    with pytest.raises(ServerAnswerError, match=f"^it: W&B returned an invalid list: .*{reason}"):
        read_page(connection, "it")


def walk(cursors: Mapping[str | None, str | None], first: Page | None = None) -> list[str | None]:
    """Return the cursors that were requested, where each page names the cursor of the next."""
    requested: list[str | None] = []

    async def fetch(cursor: str | None) -> Page:
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
    "cursors", [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}], ids=["same cursor", "two in turns"]
)
def test_stalled_pagination_raises(cursors: Mapping[str | None, str | None]) -> None:
    with pytest.raises(ServerAnswerError, match="pagination stalled"):
        walk(cursors)
