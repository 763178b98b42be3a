"""Protocols of a destination. All methods block: callers on an event loop use a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from wandb_artifacts._destination.digests import Algorithm


class Stat(NamedTuple):
    """The facts about a file that a destination knows without reading it."""

    size: int
    """Bytes."""
    stamp: str
    """Changes whenever the file is rewritten: its size with time and inode, or with an object's tag."""


class Part(Protocol):
    """A partial file. It has no final name before `commit`."""

    @property
    def size(self) -> int:
        """Bytes that are there, including those of an interrupted call."""
        ...

    def write(self, data: bytes) -> None:
        """Append data."""
        ...

    def restart(self) -> None:
        """Drop all data."""
        ...

    def md5(self) -> bytes:
        """Return the MD5 digest of the data."""
        ...

    def digest(self) -> bytes:
        """Return the digest of the data by the algorithm of the part."""
        ...

    def commit(self) -> Stat:
        """Move the file to its final name; replaces an existing file."""
        ...

    def close(self) -> None:
        """Close it. Uncommitted data stays for the next call if the destination can keep it. Idempotent."""
        ...

    def discard(self) -> None:
        """Remove uncommitted data."""
        ...


class ReadablePart(Part, Protocol):
    """A partial file that can be read before it is complete at its destination."""

    def reader(self) -> BinaryIO:
        """Return the data as a file to read, from its start. Nothing may be written afterwards."""
        ...


class Sink(Protocol):
    """Stores the files of a transfer."""

    def part(self, path: str, key: str = "", algorithm: Algorithm = "md5") -> Part:
        """Begin a file, or resume one that an interrupted call left under the same key.

        Args:
            path: Its final name.
            key: Identifies the expected contents; with an empty key nothing is resumed.
            algorithm: The algorithm of its `digest`.
        """
        ...

    def write(self, path: str, data: bytes) -> Stat:
        """Store a small file atomically."""
        ...


class Target(Sink, Protocol):
    """A folder of files. Paths are relative, with '/', and were made safe by `safe_names`."""

    def part(self, path: str, key: str = "", algorithm: Algorithm = "md5") -> ReadablePart:
        """See `Sink.part`."""
        ...

    @property
    def url(self) -> str:
        """The path or URL, as a user can open it."""
        ...

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            DestinationError: It is not writable.
        """
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Return the lock of the folder. Does nothing if the destination has no locks.

        Raises:
            DestinationError: Another process is downloading to it.
        """
        ...

    def within(self, folder: str) -> Target:
        """Return the target of a folder in this one; not locked separately."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return the contents of a small file; None if it is missing."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the contents of a file in pieces.

        Raises:
            FileNotFoundError: It is missing.
        """
        ...

    def stat(self, path: str) -> Stat | None:
        """Return what is known about a file without reading it; None if it is missing, or not a regular file."""
        ...

    def stats(self, paths: Iterable[str]) -> dict[str, Stat]:
        """Return what is known about files without reading them, without those that `stat` returns None for."""
        ...

    def tidy(self) -> None:
        """Remove leftover parts."""
        ...

    def paths(self) -> list[str]:
        """Return all files below it, sorted, without partial files and the lock."""
        ...
