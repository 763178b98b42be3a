"""`wandb-artifacts run`, `wandb-artifacts sweep` and `wandb-artifacts runs`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from wandb_artifacts._cli import messages
from wandb_artifacts._cli.messages import Exit
from wandb_artifacts._cli.output import log, printable, put, put_json
from wandb_artifacts._cli.progress import Lines
from wandb_artifacts._cli.signals import run
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download.api import download_run, download_runs, download_sweep
from wandb_artifacts._download.options import make_options
from wandb_artifacts._download.results import RunDownload, RunsDownload, SweepDownload
from wandb_artifacts._download.selection import make_selection

if TYPE_CHECKING:
    from wandb_artifacts._download.results import OnProgress
    from wandb_artifacts._project_refs import ProjectRef
    from wandb_artifacts._refs import RunRef, SweepRef

D = TypeVar("D", RunDownload, SweepDownload, RunsDownload)
_SELECTION = ("filters", "tags", "states", "group", "job_type", "created_after", "created_before", "limit")


def download_run_to(ref: RunRef, **given: Any) -> int:
    return _download(f"run {ref}", ref.id, partial(download_run.aio, ref), **given)


def download_sweep_to(ref: SweepRef, **given: Any) -> int:
    return _download(f"sweep {ref}", ref.id, partial(download_sweep.aio, ref), **given)


def download_runs_to(ref: ProjectRef, *, dry_run: bool, **given: Any) -> int:
    found = {name: given.pop(name) for name in _SELECTION}
    selection: dict[str, Any] = {name: None if value == () else value for name, value in found.items()}
    make_selection(**selection)
    download = partial(download_runs.aio, ref, dry_run=dry_run, **selection)
    return _download(f"project {ref}", ref.project, download, verb="Counting" if dry_run else "Downloading", **given)


def _download(
    what: str,
    name: str,
    download: Callable[..., Coroutine[Any, Any, D]],
    *,
    dest: str | None,
    storage_options: dict[str, object],
    include: tuple[str, ...],
    no_history: bool,
    as_json: bool,
    quiet: bool,
    verb: str = "Downloading",
    **given: Any,
) -> int:
    begin, options = time.monotonic(), {**given, "include": include or None, "include_history": not no_history}
    make_options(**options, progress=None)  # Invalid options fail before the first line of progress.
    if dest is None:
        dest = f"./{safe_paths([name])[name]}"
    with show_progress(f"{verb} {what}", dest, quiet=quiet) as progress:
        result = run(lambda: download(dest, storage_options=storage_options, progress=progress, **options))
    for warning in (messages.stale(result), messages.preserved(result)):
        if warning:
            log(warning)
    if as_json:
        put_json(result.to_dict())
    elif not quiet:
        put(messages.summary(result, time.monotonic() - begin))
    return Exit.COMPLETE


@contextlib.contextmanager
def show_progress(doing: str, dest: str, *, quiet: bool) -> Iterator[OnProgress | None]:
    """Show progress during the context; yields the callback for reports."""
    if quiet or sys.stderr is None:
        yield None
        return
    log(f"{printable(doing)} to {printable(dest)}")
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Lines(log)
        return
    from wandb_artifacts._cli.bars import Bars

    with Bars() as bars:
        yield bars.tally.add
