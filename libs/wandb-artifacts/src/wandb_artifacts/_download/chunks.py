"""Contents in pieces, read or stored in threads. Cancelling does not wait for the end of a large file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._destination.digests import Algorithm, Digests
from wandb_artifacts._download.transfer import Arrived

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Part, Sink

_AT_ONCE = 32
"""How many pieces one thread reads in a row."""
_STORED_AT_ONCE = 4
"""How many pieces one thread stores in a row; they may come from another machine."""


async def read_digests(chunks: Iterator[bytes], algorithm: Algorithm = "md5") -> tuple[int, Digests]:
    """Return the size and the digests of a file."""
    digests, size = Digests(algorithm), 0

    def read_some() -> bool:
        nonlocal size
        found = 0
        for chunk in islice(chunks, _AT_ONCE):
            digests.update(chunk)
            size += len(chunk)
            found += 1
        return found == _AT_ONCE

    while await to_thread(read_some):
        pass
    return size, digests


async def store_chunks(
    chunks: Iterator[bytes],
    sink: Sink,
    path: str,
    *,
    algorithm: Algorithm = "md5",
    check: Callable[[int, bytes], object],
    on_bytes: Callable[[int], object] = lambda _: None,
) -> Arrived:
    """Store a file under its final name.

    Args:
        chunks: Its contents.
        sink: Where it is stored.
        path: Its name there.
        algorithm: The algorithm of the digest that `check` gets.
        check: Called with the size and the digest before the file gets its name; raises if they are wrong.
        on_bytes: Called with the number of bytes that are there.
    """

    def store_some(part: Part) -> bool:
        found = 0
        for chunk in islice(chunks, _STORED_AT_ONCE):
            part.write(chunk)
            found += 1
        return found == _STORED_AT_ONCE

    part = await to_thread(sink.part, path, "", algorithm)
    try:
        while await to_thread(store_some, part):
            on_bytes(part.size)
        on_bytes(part.size)
        md5 = await to_thread(part.md5)
        check(part.size, md5 if algorithm == "md5" else await to_thread(part.digest))
        return Arrived(part.size, md5, await to_thread(part.commit))
    finally:
        await to_thread(part.close)
