"""`wandb-artifacts run` and `wandb-artifacts sweep`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from wandb_artifacts._cli import messages
from wandb_artifacts._cli.messages import Exit
from wandb_artifacts._cli.output import log, printable, put, put_json
from wandb_artifacts._cli.progress import Lines
from wandb_artifacts._cli.signals import run
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download.api import download_run, download_sweep
from wandb_artifacts._download.options import make_options
from wandb_artifacts._download.results import RunDownload, SweepDownload
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    from wandb_artifacts._download.results import OnProgress

D = TypeVar("D", RunDownload, SweepDownload)


def download_run_to(ref: RunRef, **given: Any) -> int:
    return _download("run", ref, download_run.aio, **given)


def download_sweep_to(ref: SweepRef, **given: Any) -> int:
    return _download("sweep", ref, download_sweep.aio, **given)


def _download(
    what: str,
    ref: RunRef | SweepRef,
    download: Callable[..., Coroutine[Any, Any, D]],
    *,
    dest: str | None,
    storage_options: dict[str, object],
    include: tuple[str, ...],
    no_history: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    begin, options = time.monotonic(), {**given, "include": include or None, "include_history": not no_history}
    make_options(**options, progress=None)  # Invalid options fail before the first line of progress.
    if dest is None:
        dest = f"./{safe_paths([ref.id])[ref.id]}"
    with show_progress(f"{what} {ref}", dest, quiet=quiet) as progress:
        result = run(lambda: download(ref, dest, storage_options=storage_options, progress=progress, **options))
    for warning in (messages.stale(result), messages.preserved(result)):
        if warning:
            log(warning)
    if as_json:
        put_json(result.to_dict())
    elif not quiet:
        put(messages.summary(result, time.monotonic() - begin))
    return Exit.COMPLETE


@contextlib.contextmanager
def show_progress(what: str, dest: str, *, quiet: bool) -> Iterator[OnProgress | None]:
    """Show progress during the context; yields the callback for reports."""
    if quiet or sys.stderr is None:
        yield None
        return
    log(f"Downloading {printable(what)} to {printable(dest)}")
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Lines(log)
        return
    from wandb_artifacts._cli.bars import Bars

    with Bars() as bars:
        yield bars.tally.add
