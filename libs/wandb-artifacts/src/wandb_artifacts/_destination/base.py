"""What a download needs of the place it goes to. Everything here blocks: callers on an event loop use a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class Stat(NamedTuple):
    """What a place tells of a file without reading it."""

    size: int
    """Bytes."""
    stamp: str
    """Changes whenever the file is written anew: size with time and inode, or with an object's tag."""


class Part(Protocol):
    """A file on its way: nothing of it has its final name before `commit`."""

    @property
    def size(self) -> int:
        """Bytes that are there, those of an interrupted call included."""
        ...

    def write(self, data: bytes) -> None:
        """Appends."""
        ...

    def restart(self) -> None:
        """Drops what is there."""
        ...

    def md5(self) -> bytes:
        """The digest of what is there."""
        ...

    def commit(self) -> Stat:
        """Moves it to its final name, whole, in place of what had that name."""
        ...

    def close(self) -> None:
        """Lets go of it. What is not committed stays for the next call where the place can keep it. Idempotent."""
        ...

    def discard(self) -> None:
        """Removes what is not committed."""
        ...


class Sink(Protocol):
    """Where a transfer puts a file."""

    def part(self, path: str, key: str = "") -> Part:
        """Begins a file, or goes on with one that an interrupted call left under the same key.

        Args:
            path: Its final name.
            key: What identifies the contents awaited; with an empty key nothing is resumed.
        """
        ...

    def write(self, path: str, data: bytes) -> Stat:
        """Stores a small file, whole or not at all."""
        ...


class Target(Sink, Protocol):
    """A folder of files. Paths are relative, with '/', and were made safe by `_paths`."""

    @property
    def url(self) -> str:
        """Where it is, as its user can open it."""
        ...

    def prepare(self) -> None:
        """Makes the folder.

        Raises:
            DestinationError: It cannot be written.
        """
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Keeps a second download of this machine out of the same folder, where the place has locks.

        Raises:
            DestinationError: Another process downloads to it now.
        """
        ...

    def within(self, folder: str) -> Target:
        """The target of a folder in this one; not locked by itself."""
        ...

    def read(self, path: str) -> bytes | None:
        """The contents of a small file; None where there is none."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """The contents of a file, a piece at a time.

        Raises:
            FileNotFoundError: There is none.
        """
        ...

    def stat(self, path: str) -> Stat | None:
        """What is known of a file without reading it; None where there is no regular file (links are none)."""
        ...

    def tidy(self) -> None:
        """Removes what only a download needs: parts that nobody goes on with."""
        ...

    def paths(self) -> list[str]:
        """All files below, sorted; neither those on their way nor the lock."""
        ...
