"""The public calls, with everything that a call may be given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wandb_artifacts._options import DEFAULT_JOBS, check_storage_options, make_options
from wandb_artifacts._refs import RunRef, SweepRef
from wandb_artifacts._twins import Twin

if TYPE_CHECKING:
    from wandb_artifacts._results import HistoryFormat, OnProgress, RunDownload, SweepDownload


@Twin
async def download_run(
    run: RunRef | str,
    destination: str | os.PathLike[str],
    *,
    include_history: bool = True,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnProgress | None = None,
    history_format: HistoryFormat = "json",
    storage_options: Mapping[str, object] | None = None,
) -> RunDownload:
    raise NotImplementedError


@Twin
async def download_sweep(
    sweep: SweepRef | str,
    destination: str | os.PathLike[str],
    *,
    include_history: bool = True,
    include: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str | None = None,
    jobs: int = DEFAULT_JOBS,
    deadline: float | None = None,
    progress: OnProgress | None = None,
    history_format: HistoryFormat = "json",
    storage_options: Mapping[str, object] | None = None,
) -> SweepDownload:
    raise NotImplementedError
