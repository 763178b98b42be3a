"""Messages and exit codes of the command for results and errors."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from wandb_artifacts._cli.output import count, listed, printable, seconds, size
from wandb_artifacts._download.results import ArtifactDownload, RunDownload, RunsDownload, describe, failures
from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    DeadlineError,
    DestinationError,
    InvalidValueError,
    NotFoundError,
    ServerAnswerError,
    ServerUnavailableError,
)

if TYPE_CHECKING:
    from wandb_artifacts._download.results import AnyDownload, DownloadedFile, SweepDownload
    from wandb_artifacts._download.verify import Verification

_GIVEN_AS = {
    "artifact": "REF",
    "created_after": "--created-after",
    "created_before": "--created-before",
    "deadline": "--deadline",
    "destination": "DEST",
    "exclude": "--exclude",
    "filters": "--filter",
    "group": "--group",
    "history_format": "--history-format",
    "host": "--host",
    "include": "--include",
    "job_type": "--job-type",
    "jobs": "--jobs",
    "limit": "--limit",
    "run": "REF",
    "states": "--state",
    "storage_options": "--storage-option",
    "sweep": "REF",
    "tags": "--tag",
}
"""Options of the command for parameters of the library."""


_BARE_ID = (
    "a bare id needs WANDB_ENTITY and WANDB_PROJECT; or write entity/project/id, or paste the URL of the page. "
    "'wandb-artifacts ls entity/project' lists the runs of a project, 'ls entity/project/id' those of a sweep"
)


class Exit(IntEnum):
    COMPLETE = 0
    INCOMPLETE = 1
    USAGE = 2
    ACCESS = 3
    NOT_FOUND = 4
    SERVER = 5
    DESTINATION = 6
    BUG = 70
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


_CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Exit], ...] = (
    (InvalidValueError, Exit.USAGE),
    ((AuthenticationError, AccessDeniedError), Exit.ACCESS),
    (NotFoundError, Exit.NOT_FOUND),
    ((ServerUnavailableError, ServerAnswerError, DeadlineError), Exit.SERVER),
    (DestinationError, Exit.DESTINATION),
)


def code_of(error: Exception) -> Exit:
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), Exit.INCOMPLETE)


def in_words_of_command(text: str) -> str:
    """Return the text of an error of the library without what only callers in Python can do."""
    text = re.sub("use download_(run|runs|sweep|artifact), or ", "use ", text)
    return text.replace(", or None for", "; omit it for")


def refusal(error: InvalidValueError) -> str:
    """Return the text of an error with the names of the command's options."""
    reason = in_words_of_command(error.reason)
    ls = "ls --artifacts' lists its artifacts" if error.field == "artifact" else "ls' lists its runs"
    reason = reason.replace("If it is entity/project,", f"If it is entity/project, 'wandb-artifacts {ls};")
    for name in ("entity", "project"):
        reason = reason.replace(f"or pass {name}=...", f"or set WANDB_{name.upper()}")
    if error.field in ("run", "sweep") and "/" not in str(error.value) and "has no" in reason:
        reason = _BARE_ID
    given = "" if error.value is None else f" {error.value!r}"
    return f"{_GIVEN_AS.get(error.field, error.field)}{given}: {reason}"


def one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def incomplete(result: AnyDownload) -> str:
    runs, files = ([f"{failure.name}: {failure.reason}" for failure in each] for each in failures(result))
    lost = " and ".join(count(len(names), kind) for names, kind in ((runs, "run"), (files, "file")) if names)
    verb = "is" if len(runs + files) == 1 else "are"
    head = f"{one_line(describe(result))} is incomplete in {printable(result.destination)}: {lost} {verb} missing"
    return f"{head}; run the same command to fetch them{listed(runs + files)}"


def summary(result: AnyDownload, elapsed: float) -> str:
    if isinstance(result, RunsDownload) and result.dry_run:
        what = f"{count(result.matched, 'run')} with {count(result.files, 'file')} ({size(result.bytes)})"
        return f"{one_line(describe(result))}: {what} to download; dry run, nothing was downloaded"
    runs = _runs(result)
    rows = [run.history_rows for run in runs if run.history_rows is not None]
    parts = [_files(result)]
    parts += [f"{count(sum(rows), 'row')} of history"] if rows else []
    parts += [seconds(elapsed)]
    lines = [f"{one_line(_head(result))} is complete in {printable(result.destination)}", f"  {'; '.join(parts)}"]
    if isinstance(result, ArtifactDownload):
        skipped = count(len(result.skipped), "reference")
        lines += [f"  {skipped} {'was' if len(result.skipped) == 1 else 'were'} skipped"] if result.skipped else []
    elif result.is_live:
        active = "it was" if isinstance(result, RunDownload) else "some of its runs were"
        lines.append(f"  {active} still active; the same command fetches what is logged later")
    return "\n".join(lines)


def _runs(result: AnyDownload) -> Sequence[RunDownload]:
    if isinstance(result, ArtifactDownload):
        return ()
    return [result] if isinstance(result, RunDownload) else result.runs


def _head(result: AnyDownload) -> str:
    if isinstance(result, ArtifactDownload):
        return describe(result)
    if isinstance(result, RunDownload):
        return f"{describe(result)} ({result.run_state})"
    if isinstance(result, RunsDownload):
        return f"{describe(result)} ({count(result.matched, 'run')})"
    return f"{describe(result)} ({result.sweep_state}, {count(len(result.runs), 'run')})"


def _files(result: AnyDownload) -> str:
    if isinstance(result, RunsDownload):
        total, new, new_size = result.files, result.new_files, result.new_bytes
        kept_size = result.bytes - new_size
    else:
        files = _all_files(result)
        sizes = [file.size for file in files if file.state == "new"]
        total, new, new_size = len(files), len(sizes), sum(sizes)
        kept_size = sum(file.size for file in files) - new_size
    sums = ((new, "new", new_size), (total - new, "kept", kept_size))
    shown = [f"{number:,} {state} ({size(amount)})" for number, state, amount in sums if number or not total]
    return f"{count(total, 'file')}: {', '.join(shown)}"


def _all_files(result: RunDownload | SweepDownload | ArtifactDownload) -> list[DownloadedFile]:
    if isinstance(result, ArtifactDownload):
        return list(result.files)
    return [file for run in _runs(result) for file in run.files]


def stale(result: AnyDownload) -> str | None:
    """Return a warning about files of an earlier download."""
    if isinstance(result, (RunDownload, ArtifactDownload)):
        left = list(result.stale)
    else:
        folders = [] if isinstance(result, RunsDownload) else [f"{folder}/" for folder in result.stale]
        left = folders + [f"{run.run.id}/{path}" for run in result.runs for path in run.stale]
    if not left:
        return None
    head = f"Warning: {printable(result.destination)} has files of an earlier download that W&B has removed:"
    return head + listed(left)


def preserved(result: AnyDownload) -> str | None:
    """Return a warning about files of the user under names of the download's own files."""
    if isinstance(result, (RunDownload, ArtifactDownload)):
        kept = list(result.preserved)
    else:
        kept = [f"{run.run.id}/{path}" for run in result.runs for path in run.preserved]
        kept += result.preserved if isinstance(result, RunsDownload) else ()
    if not kept:
        return None
    return f"Warning: {printable(result.destination)} had files that no download wrote; copies of them:{listed(kept)}"


def unverified(result: AnyDownload) -> str | None:
    """Return a warning about files that could not be verified."""
    if not isinstance(result, ArtifactDownload) or not result.unverified:
        return None
    head = "Warning: the artifact states neither a digest nor a size for these references; they are not verified:"
    return head + listed(result.unverified)


def verification(found: Verification) -> str:
    what = f"{count(found.checked, 'file')} ({size(found.bytes)})"
    if found.is_good:
        return f"{printable(found.destination)} is complete and unchanged: {what}"
    lost = [f"{failure.name}: {failure.reason}" for failure in found.failed]
    verb = "is" if len(lost) == 1 else "are"
    return f"{printable(found.destination)} differs: {len(lost):,} of {what} {verb} missing or changed{listed(lost)}"


def unknown(found: Verification) -> str | None:
    """Return a warning about files that are in no manifest."""
    if not found.stale:
        return None
    return f"Warning: {printable(found.destination)} has files that are not part of the download:{listed(found.stale)}"
