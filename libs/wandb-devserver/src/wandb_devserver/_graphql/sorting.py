"""Sorting of short lists by the `order` of a request, such as `-created_at`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def sort(items: list[T], order: str | None, keys: Mapping[str, Callable[[T], Any]]) -> list[T]:
    """Sort by one of `keys`; without an order, the items stay as they are.

    Raises:
        UsageError: if the order names no known key.
    """
    if not order:
        return items
    name = re.sub(r"(?<=[a-z])[A-Z]", lambda match: "_" + match[0].lower(), order.lstrip("+-"))
    if name not in keys:
        msg = f"invalid order {order!r}: use one of {', '.join(sorted(keys))}, with a leading - to reverse it"
        raise UsageError(msg)
    return sorted(items, key=keys[name], reverse=order.startswith("-"))
