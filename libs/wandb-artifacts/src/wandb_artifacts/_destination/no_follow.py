"""Folders that are opened component by component, so that no symbolic link below a trusted root is followed."""

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
"""The flags also prevent waiting for the writer of a pipe, and the translation of line ends."""


class Folder(NamedTuple):
    """An open folder. Names are resolved relative to its descriptor, if the system has descriptors of folders.

    Then a concurrent rename or link has no effect. Elsewhere (Windows), the full path is used after a check of every
    component.
    """

    path: str
    fd: int | None

    def below(self, name: str) -> str:
        # Not joined by pathlib, which would take longer than opening the folder.
        return f"{self.path}{os.sep}{name}"

    def name(self, name: str) -> str:
        return name if self.fd is not None else self.below(name)

    def open(self, name: str, flags: int) -> int:
        """Open a file, never through a link."""
        if self.fd is None and os.path.islink(self.name(name)):  # noqa: PTH114
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return os.open(self.name(name), flags | _NO_LINK, 0o666, dir_fd=self.fd)

    def stat(self, name: str) -> os.stat_result:
        return os.stat(self.name(name), dir_fd=self.fd, follow_symlinks=False)

    def remove(self, name: str) -> None:
        os.unlink(self.name(name), dir_fd=self.fd)

    def replace(self, name: str, other: Folder, final: str) -> None:
        """Move a file to another folder. An existing file or link of that name is replaced, not followed."""
        os.replace(self.name(name), other.name(final), src_dir_fd=self.fd, dst_dir_fd=other.fd)

    def names(self) -> list[str]:
        return os.listdir(self.path if self.fd is None else self.fd)  # noqa: PTH208


@contextmanager
def open_folder(root: Path, parts: Sequence[str], *, make: bool = False) -> Iterator[Folder]:
    """Open a folder below `root`, which may itself be a link.

    Args:
        root: The folder that the user passed.
        parts: The path below it.
        make: Whether to create missing folders.

    Raises:
        FileNotFoundError: It is missing.
        DestinationError: A component is a link or a file.
    """
    folder = Folder(str(root), os.open(root, os.O_RDONLY | _DIRECTORY) if _HAS_DIR_FD else None)
    try:
        for part in parts:
            below = _enter(folder, part, make=make)
            _close(folder)
            folder = below
        yield folder
    finally:
        _close(folder)


def _enter(folder: Folder, part: str, *, make: bool) -> Folder:
    path = folder.below(part)
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
        what = "it is a symbolic link, and links are not followed" if is_link else "it is a file, not a folder"
        doing = f"write below {path}"
        raise refusal(doing, f"{what}; remove it, or choose another destination", error.errno) from error


def _close(folder: Folder) -> None:
    if folder.fd is not None:
        os.close(folder.fd)
