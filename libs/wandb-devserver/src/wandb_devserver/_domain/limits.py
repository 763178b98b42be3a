"""Limits on names: reject what could not be reached by a URL or path later."""

from __future__ import annotations

import re

from wandb_devserver._errors import UsageError

_MAX_PROJECT = 128


def check_project(name: str) -> str:
    """Return `name` if it can be the name of a project.

    Raises:
        UsageError: otherwise.
    """
    if not name.strip() or len(name) > _MAX_PROJECT or re.search(r"[/\\#?%:]", name):
        msg = f"project name {name!r}: use 1 to {_MAX_PROJECT} characters, none of / \\ # ? % :"
        raise UsageError(msg)
    return name


def check_run(name: str) -> str:
    """Return `name` if it can be the id of a run.

    Raises:
        UsageError: otherwise.
    """
    # The SDK lets '%' and '..' pass, but does not encode them in URLs: such a run would lose its rows.
    if name in ("", ".", "..") or name != name.strip() or re.search(r"[:;,#?/'%]", name):
        msg = f"run id {name!r}: use at least one character, none of : ; , # ? / ' % and no spaces around it"
        raise UsageError(msg)
    return name


def check_file_name(name: str) -> str:
    """Return `name` if it can be the name of a file of a run.

    Raises:
        UsageError: if a client that downloads the file could write outside of its folder.
    """
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name or ".." in parts or parts[0] == "":
        msg = f"{name!r} cannot be the name of a file: use a relative path without '..'"
        raise UsageError(msg)
    return name
