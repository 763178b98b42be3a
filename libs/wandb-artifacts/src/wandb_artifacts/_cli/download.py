"""`wandb-artifacts run` and `wandb-artifacts sweep`."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wandb_artifacts._cli import messages as _wording
from wandb_artifacts._cli.exit_codes import Exit
from wandb_artifacts._cli.output import put, put_json, say
from wandb_artifacts._cli.place import read_place
from wandb_artifacts._cli.progress import shown_progress
from wandb_artifacts._cli.signals import run
from wandb_artifacts._download.api import download_run, download_sweep
from wandb_artifacts._download.options import make_options
from wandb_artifacts._refs import RunRef, SweepRef
from wandb_artifacts._download.results import RunDownload, SweepDownload
from wandb_artifacts._destination.safe_names import safe_paths

D = TypeVar("D", RunDownload, SweepDownload)


def download_run_to(*, ref: str, host: str | None, **given: Any) -> int:
    return _download("run", read_place(RunRef, ref, host), download_run.aio, **given)


def download_sweep_to(*, ref: str, host: str | None, **given: Any) -> int:
    return _download("sweep", read_place(SweepRef, ref, host), download_sweep.aio, **given)


def _download(
    what: str,
    place: RunRef | SweepRef,
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
    make_options(**options, progress=None)  # What cannot be meant is refused before anything is announced.
    if dest is None:
        dest = f"./{safe_paths([place.id])[place.id]}"
    with shown_progress(f"{what} {place}", dest, quiet=quiet) as progress:
        result = run(lambda: download(place, dest, storage_options=storage_options, progress=progress, **options))
    if warning := _wording.stale(result):
        say(warning)
    if as_json:
        put_json(result.to_dict())
    elif not quiet:
        put(_wording.summary(result, time.monotonic() - begin))
    return Exit.COMPLETE
