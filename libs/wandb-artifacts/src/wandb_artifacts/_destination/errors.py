"""What a file system refuses, in the words of who has to do something about it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from wandb_artifacts._errors import DestinationError

_NO_ROOM = "there is no room left; free some and call again, it goes on from what is there"
_DENIED = "permission is denied; choose a destination that you can write, or change its permissions"
_REMEDIES = {
    errno.ENOSPC: _NO_ROOM,
    getattr(errno, "EDQUOT", errno.ENOSPC): "your disk quota is used up; free some room and call again",
    errno.EFBIG: "the file is larger than what is allowed there (the file system, or ulimit -f); choose another place",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "the file system is read-only; choose a destination that you can write",
    errno.ENAMETOOLONG: "the path is too long; choose a destination with a shorter one",
    errno.EISDIR: "a folder is where a file is to be; remove it, or choose another destination",
    errno.ENOTDIR: "a file is where a folder is to be; remove it, or choose another destination",
    errno.EEXIST: "a file is where a folder is to be; remove it, or choose another destination",
    errno.ELOOP: "a link is in the way, and links are not followed; remove it, or choose another destination",
    errno.EXDEV: "another file system is mounted within the destination; download to that one itself",
    errno.EMFILE: "this process has too many files open; pass a smaller jobs=, or raise ulimit -n",
}


def failure(doing: str, error: OSError) -> DestinationError:
    """The error for a caller: what, where, what to do; the number of the cause is kept."""
    reason = _REMEDIES.get(error.errno or 0) or error.strerror or type(error).__name__
    return refusal(doing, reason, error.errno)


def refusal(doing: str, reason: str, number: object = None) -> DestinationError:
    found = DestinationError(f"cannot {doing}: {reason}")
    found.errno = number if isinstance(number, int) else None
    return found


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turns what the operating system refuses within the block into a `DestinationError`."""
    try:
        yield
    except DestinationError:
        raise
    except OSError as error:
        raise failure(doing, error) from error
