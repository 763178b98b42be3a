"""`wandb-artifacts run`, `sweep`, `runs` and `artifact`."""

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
from wandb_artifacts._download.api import download_artifact, download_run, download_runs, download_sweep
from wandb_artifacts._download.options import make_options
from wandb_artifacts._download.results import ArtifactDownload, RunDownload, RunsDownload, SweepDownload
from wandb_artifacts._download.selection import make_selection

if TYPE_CHECKING:
    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._download.results import FileProgress
    from wandb_artifacts._project_refs import ProjectRef
    from wandb_artifacts._refs import RunRef, SweepRef

D = TypeVar("D", RunDownload, SweepDownload, RunsDownload, ArtifactDownload)
_SELECTION = ("filters", "tags", "states", "group", "job_type", "created_after", "created_before", "limit")


def download_run_to(ref: RunRef, **given: Any) -> int:
    return _download(f"run {ref}", ref.id, partial(download_run.aio, ref), **given)


def download_sweep_to(ref: SweepRef, **given: Any) -> int:
    return _download(f"sweep {ref}", ref.id, partial(download_sweep.aio, ref), **given)


def download_runs_to(ref: ProjectRef, *, dry_run: bool, **given: Any) -> int:
    found = {name: given.pop(name, None) for name in _SELECTION}
    selection: dict[str, Any] = {name: None if value == () else value for name, value in found.items()}
    make_selection(**selection)
    download = partial(download_runs.aio, ref, dry_run=dry_run, **selection)
    doing = f"Counting the runs of project {ref}" if dry_run else None
    return _download(f"project {ref}", ref.project, download, doing=doing, **given)


def download_artifact_to(ref: ArtifactRef, *, no_references: bool, include: tuple[str, ...], **given: Any) -> int:
    options = {name: given.pop(name) for name in ("exclude", "jobs", "deadline")} | {"include": include or None}
    download = partial(download_artifact.aio, ref, references="skip" if no_references else "fetch")
    return _show(f"artifact {ref}", ref.name, download, options, **given)


def _download(
    what: str,
    name: str,
    download: Callable[..., Coroutine[Any, Any, D]],
    *,
    include: tuple[str, ...],
    no_history: bool,
    exclude: tuple[str, ...],
    jobs: int,
    deadline: float | None,
    history_format: str,
    **given: Any,
) -> int:
    options = {"exclude": exclude, "jobs": jobs, "deadline": deadline, "history_format": history_format}
    options |= {"include": include or None, "include_history": not no_history}
    return _show(what, name, download, options, **given)


def _show(
    what: str,
    name: str,
    download: Callable[..., Coroutine[Any, Any, D]],
    options: dict[str, Any],
    *,
    dest: str | None,
    storage_options: dict[str, object],
    as_json: bool,
    quiet: bool,
    doing: str | None = None,
) -> int:
    begin = time.monotonic()
    make_options(**options)  # Invalid options fail before the first line of progress.
    if dest is None:
        dest = f"./{safe_paths([name])[name]}"
    with show_progress(doing or f"Downloading {what} to {dest}", quiet=quiet) as progress:
        result = run(lambda: download(dest, storage_options=storage_options, progress=progress, **options))
    for warning in (messages.stale(result), messages.preserved(result), messages.unverified(result)):
        if warning:
            log(warning)
    if as_json:
        put_json(result.to_dict())
    elif not quiet:
        put(messages.summary(result, time.monotonic() - begin))
    return Exit.COMPLETE


@contextlib.contextmanager
def show_progress(doing: str, *, quiet: bool) -> Iterator[Callable[[FileProgress], None] | None]:
    """Show progress during the context; yields the callback for reports."""
    if quiet or sys.stderr is None:
        yield None
        return
    log(printable(doing))
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Lines(log)
        return
    from wandb_artifacts._cli.bars import Bars

    with Bars() as bars:
        yield bars.tally.add
