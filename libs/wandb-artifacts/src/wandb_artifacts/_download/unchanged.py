"""Runs that have not changed since an earlier download, found without a request."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wandb_artifacts._download.own_files import Found
from wandb_artifacts._download.records import CONSOLE, has_console_file
from wandb_artifacts._download.results import LIVE_STATES

if TYPE_CHECKING:
    from collections.abc import Collection

    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.manifest import Entry, RunManifest
    from wandb_artifacts._download.options import Options
    from wandb_artifacts._download.own_files import Work

_NOT_IN_OUTLINES = frozenset({"files", "more_files", "last_step", "is_outline"})
"""Fields that differ between a run and its outline."""


def fingerprint(run: RemoteRun, *, files: int) -> str:
    """Return a digest of what W&B reports of a run and its first files: the same for the run and for its outline."""
    listed = sorted((file.name, file.md5) for file in run.files[:files])
    facts = {name: value for name, value in vars(run).items() if name not in _NOT_IN_OUTLINES}
    return hashlib.sha256(f"{facts!r}{listed!r}".encode()).hexdigest()


def find_unchanged(run: RemoteRun, work: Work, target: Target, before: RunManifest | None) -> Found | None:
    """Return the files of a complete download of a run, if neither the run nor the folder has changed since.

    Of a run with more files than were listed with it, W&B's number of files and the time of the last heartbeat decide
    about the others.

    Args:
        run: The run as W&B reports it now, or its outline.
        work: The call.
        target: The folder of the run.
        before: The manifest in the folder.

    Returns:
        The files; None if they have to be compared one by one.
    """
    if before is None or not before.is_complete or run.state in LIVE_STATES or run.heartbeat_at is None:
        return None
    # Files that the fingerprint does not include are compared one by one where they are listed.
    files, options, history = work.api.files_of_each, work.options, before.history
    if len(run.files) > files or before.fingerprint != fingerprint(run, files=files):
        return None
    if options.include_history and (history is None or history.format != options.history_format):
        return None
    if not _has_all(run, before, options) or not are_there(target, before.entries()):
        return None
    wanted = [entry for entry in before.files if options.wants(entry.name)]
    carried = [entry for entry in before.files if not options.wants(entry.name)]
    return Found(wanted, carried, set(), [], summary=before.summary, history=history, made=[*before.made])


def _has_all(run: RemoteRun, before: RunManifest, options: Options) -> bool:
    if run.more_files is not None and run.file_count != len(before.files):
        return False
    known = {entry.name for entry in before.files}
    has_console = has_console_file(known) or not run.log_line_count or any(made.path == CONSOLE for made in before.made)
    # Without a digest, the fingerprint does not show a change of the contents.
    return (has_console or not options.wants(CONSOLE)) and all(
        file.name in known and file.md5 is not None for file in run.files if options.wants(file.name)
    )


def are_there(target: Target, entries: Collection[Entry]) -> bool:
    """Return whether all files are as they were when they were written."""
    stats = target.stats(entry.path for entry in entries)
    return all(entry.path in stats and stats[entry.path].stamp == entry.stamp for entry in entries)
