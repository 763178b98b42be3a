"""The algorithms by which artifacts identify contents. Both digests have 16 bytes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

import xxhash

if TYPE_CHECKING:
    from collections.abc import Callable

MD5 = "MANIFEST_MD5"
XXH128 = "MANIFEST_XXH128"


class Hasher(Protocol):
    """The part of hashlib's interface that this package uses."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...


def new_hasher(algorithm: str) -> Hasher:
    """Return an empty hasher for an algorithm, named as in GraphQL."""
    return _HASHERS[algorithm]()


def _new_md5() -> Hasher:
    return hashlib.md5(usedforsecurity=False)


def _new_xxh128() -> Hasher:
    return xxhash.xxh128()


_HASHERS: dict[str, Callable[[], Hasher]] = {MD5: _new_md5, XXH128: _new_xxh128}
