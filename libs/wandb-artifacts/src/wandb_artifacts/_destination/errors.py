"""`DestinationError` for errors of file systems, with a remedy for each."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from wandb_artifacts._errors import DestinationError

_NO_ROOM = "no space left; free some and call again to resume"
_DENIED = "permission denied; choose a writable destination, or change its permissions"
_REMEDIES = {
    errno.ENOSPC: _NO_ROOM,
    getattr(errno, "EDQUOT", errno.ENOSPC): "your disk quota is used up; free some space and call again to resume",
    errno.EFBIG: "the file exceeds the size limit (of the file system, or ulimit -f); choose another destination",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "the file system is read-only; choose a writable destination",
    errno.ENAMETOOLONG: "the path is too long; choose a destination with a shorter path",
    errno.EISDIR: "a folder has the name of the file; remove it, or choose another destination",
    errno.ENOTDIR: "a file has the name of the folder; remove it, or choose another destination",
    errno.EEXIST: "a file has the name of the folder; remove it, or choose another destination",
    errno.ELOOP: "a symbolic link is in the path, and links are not followed; remove it, or choose another destination",
    errno.EXDEV: "another file system is mounted inside the destination; download directly to that one",
    errno.EMFILE: "too many open files; pass a smaller jobs=, or raise ulimit -n",
}


def failure(doing: str, error: OSError) -> DestinationError:
    """Return the error for a failed operation, with the errno of its cause."""
    reason = _REMEDIES.get(error.errno or 0) or error.strerror or type(error).__name__
    return refusal(doing, reason, error.errno)


def refusal(doing: str, reason: str, number: object = None) -> DestinationError:
    found = DestinationError(f"Cannot {doing}: {reason}")
    found.errno = number if isinstance(number, int) else None
    return found


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Convert each OSError in the block to a `DestinationError`."""
    try:
        yield
    except DestinationError:
        raise
    except OSError as error:
        raise failure(doing, error) from error
