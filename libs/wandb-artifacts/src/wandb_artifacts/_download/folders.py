"""Default destinations, in the folder of temporary files that all users of a machine share."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from wandb_artifacts._destination.errors import explained, refusal
from wandb_artifacts._destination.no_follow import open_folder

_NAME = "wandb_runs"
_OPEN_TO_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def private_folder(*names: str) -> Path:
    """A folder below `wandb_runs` in the system's temporary folder, which nobody else can write.

    Where that name is taken by another user, or is a link, it is `wandb_runs-<uid>`.

    Args:
        *names: The way from there; safe names, such as that of a run.

    Returns:
        The folder, which exists.

    Raises:
        DestinationError: Another user has taken both names.
    """
    top = Path(tempfile.gettempdir())
    own = f"{_NAME}-{os.getuid()}" if hasattr(os, "getuid") else f"{_NAME}-{os.environ.get('USERNAME', 'user')}"
    for name in (_NAME, own):
        if _is_ours(top / name):
            folder = top.joinpath(name, *names)
            with explained(f"make the folder {folder}"), open_folder(top / name, names, make=True):
                return folder
    doing, reason = f"use {top / _NAME} or {top / own}", "another user could change them"
    raise refusal(doing, f"{reason}; remove them, set TMPDIR to a folder of your own, or name a destination")


def _is_ours(folder: Path) -> bool:
    """Makes a folder, or looks at the one that is there. In a folder with the sticky bit nobody else can replace it."""
    with explained(f"make the folder {folder}"):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & _OPEN_TO_OTHERS)
