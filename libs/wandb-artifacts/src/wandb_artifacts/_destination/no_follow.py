"""Folders below one that is trusted, opened a component at a time, so that no link in them is ever followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from wandb_artifacts._destination.errors import refusal

_HAS_DIR_FD = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Nor wait for who writes to a pipe, nor translate line ends."""


class Folder(NamedTuple):
    """An open folder. Where the system has descriptors of folders, names are looked up in what was opened.

    A rename or a link put in its place meanwhile changes nothing then. Elsewhere (Windows) the full path is used, of
    which every component has been looked at.
    """

    path: Path
    fd: int | None

    def name(self, name: str) -> str:
        return name if self.fd is not None else str(self.path / name)

    def open(self, name: str, flags: int) -> int:
        """Opens a file, never through a link."""
        if self.fd is None and os.path.islink(self.name(name)):  # noqa: PTH114
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return os.open(self.name(name), flags | _NO_LINK, 0o666, dir_fd=self.fd)

    def stat(self, name: str) -> os.stat_result:
        return os.stat(self.name(name), dir_fd=self.fd, follow_symlinks=False)

    def remove(self, name: str) -> None:
        os.unlink(self.name(name), dir_fd=self.fd)

    def replace(self, name: str, other: Folder, final: str) -> None:
        """Moves a file to another folder, in place of what has that name there: a link is replaced, not followed."""
        os.replace(self.name(name), other.name(final), src_dir_fd=self.fd, dst_dir_fd=other.fd)

    def names(self) -> list[str]:
        return os.listdir(self.path if self.fd is None else self.fd)  # noqa: PTH208


@contextmanager
def open_folder(root: Path, parts: Sequence[str], *, make: bool = False) -> Iterator[Folder]:
    """Opens a folder below `root`, which may be a link itself.

    Args:
        root: The folder that its user named.
        parts: The way from there.
        make: Whether to make what is missing.

    Raises:
        FileNotFoundError: It is not there.
        DestinationError: A link or a file is on the way.
    """
    folder = Folder(root, os.open(root, os.O_RDONLY | _DIRECTORY) if _HAS_DIR_FD else None)
    try:
        for part in parts:
            below = _enter(folder, part, make=make)
            _close(folder)
            folder = below
        yield folder
    finally:
        _close(folder)


def _enter(folder: Folder, part: str, *, make: bool) -> Folder:
    path = folder.path / part
    if make:
        with suppress(FileExistsError):
            os.mkdir(folder.name(part), dir_fd=folder.fd)
    try:
        if folder.fd is not None:
            return Folder(path, os.open(part, os.O_RDONLY | _DIRECTORY | _NO_LINK, dir_fd=folder.fd))
        if stat.S_ISDIR(folder.stat(part).st_mode):
            return Folder(path, None)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), part)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        is_link = stat.S_ISLNK(folder.stat(part).st_mode)
        what = "it is a link, and links are not followed" if is_link else "it is a file where a folder is to be"
        doing = f"write below {path}"
        raise refusal(doing, f"{what}; remove it, or choose another destination", error.errno) from error


def _close(folder: Folder) -> None:
    if folder.fd is not None:
        os.close(folder.fd)
