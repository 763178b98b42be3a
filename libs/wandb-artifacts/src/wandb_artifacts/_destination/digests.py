"""Digests of contents, computed while the contents are written or read."""

from __future__ import annotations

import hashlib
from typing import Literal, Protocol, TypeAlias

Algorithm: TypeAlias = Literal["md5", "xxh128"]
"""An algorithm by which W&B identifies contents. Both digests have 16 bytes."""

DIGEST_SIZE = 16
"""Bytes."""

_Data: TypeAlias = bytes | bytearray | memoryview


class _Hasher(Protocol):
    def update(self, data: _Data, /) -> None: ...

    def digest(self) -> bytes: ...


class Digests:
    """The MD5 digest of some data, and its digest by another algorithm.

    MD5 is always computed: the manifest of a destination and object stores use it.

    Args:
        algorithm: The algorithm of `digest`.
        data: The first data.
    """

    def __init__(self, algorithm: Algorithm = "md5", data: _Data = b"") -> None:
        self._md5: _Hasher = hashlib.md5(data, usedforsecurity=False)
        self._other = _xxh128(data) if algorithm == "xxh128" else None

    def update(self, data: _Data) -> None:
        self._md5.update(data)
        if self._other:
            self._other.update(data)

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    @property
    def digest(self) -> bytes:
        """The digest by the algorithm."""
        return (self._other or self._md5).digest()


def _xxh128(data: _Data) -> _Hasher:
    # Few artifacts need it.
    import xxhash

    return xxhash.xxh128(data)
