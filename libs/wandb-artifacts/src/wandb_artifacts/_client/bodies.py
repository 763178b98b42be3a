"""Bodies of responses, read up to a limit, so that no server can fill the memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from wandb_artifacts._client.retry import TransientError
from wandb_artifacts._errors import ServerAnswerError

if TYPE_CHECKING:
    import aiohttp

MAX_RESPONSE = 64 * 1024 * 1024
"""Bytes of a GraphQL response after decompression: far more than the largest pages that the client requests."""
ACCEPTED_ENCODING = "gzip"
_GZIP = 16 + zlib.MAX_WBITS


class ResponseTooLargeError(ServerAnswerError):
    """A response is larger than the limit. One with fewer items may not be."""


async def read_response(response: aiohttp.ClientResponse, what: str, *, limit: int = MAX_RESPONSE) -> bytes:
    """Return the decompressed body of a response.

    Raises:
        ResponseTooLargeError: It is larger than the limit.
        ServerAnswerError: It is compressed in an unknown way.
        TransientError: It broke off.
    """
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", ACCEPTED_ENCODING):
        msg = f"{what}: the response is compressed as {encoding[:20]!r}, which was not requested"
        raise ServerAnswerError(msg)
    inflate = zlib.decompressobj(_GZIP) if encoding == ACCEPTED_ENCODING else None
    found = bytearray()
    async for piece in response.content.iter_any():
        found += _decompressed(inflate, piece, limit + 1 - len(found)) if inflate else piece
        if len(found) > limit:
            msg = f"{what}: the response is larger than {limit // 2**20} MB"
            raise ResponseTooLargeError(msg)
    if inflate and not inflate.eof:
        msg = "the response broke off"
        raise TransientError(msg)
    return bytes(found)


async def read_announced(response: aiohttp.ClientResponse, size: int) -> bytes:
    """Return the body of a file that has so many bytes; of a longer one, a little more than that."""
    found = bytearray()
    async for piece in response.content.iter_any():
        found += piece[: size + 1 - len(found)]
        if len(found) > size:
            break
    return bytes(found)


def _decompressed(inflate: zlib._Decompress, piece: bytes, limit: int) -> bytes:
    try:
        return inflate.decompress(piece, limit)
    except zlib.error:
        msg = "the response is not compressed as announced"
        raise TransientError(msg) from None
