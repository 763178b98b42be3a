"""Waits until W&B shows all data of a run, which takes a moment after its end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from wandb_artifacts._client.api import Api
from wandb_artifacts._download.results import LIVE_STATES

if TYPE_CHECKING:
    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._refs import RunRef, SweepRef

_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between two requests; the last value repeats."""

_Fetch: TypeAlias = Callable[[], Awaitable["list[RemoteRun]"]]


async def run_settled(ref: RunRef, *, last_step: int, ends: bool, timeout: float) -> str | None:
    """Wait until W&B has all data of a run.

    Args:
        ref: The run.
        last_step: The last step that was logged; -1 if it is not known.
        ends: Whether the run has ended or is about to, so that its data must stop changing.
        timeout: Seconds to wait.

    Returns:
        None; or, after the timeout, what W&B still lacks, as the rest of a sentence that begins with "W&B".

    Raises:
        DownloadError: A request failed, or W&B has no such run.
    """
    async with await Api.open(ref.host, jobs=1) as api:

        async def fetch() -> list[RemoteRun]:
            return [await api.run(ref)]

        return await _settled(fetch, last_step, ends=ends, timeout=timeout)


async def sweep_settled(ref: SweepRef, *, timeout: float) -> str | None:
    """Wait until all runs of a sweep have ended and stopped changing; see `run_settled`."""
    async with await Api.open(ref.host, jobs=1) as api:

        async def fetch() -> list[RemoteRun]:
            return [run async for _, page in api.runs(ref) for run in page]

        return await _settled(fetch, -1, ends=True, timeout=timeout)


async def _settled(fetch: _Fetch, last_step: int, *, ends: bool, timeout: float) -> str | None:
    lacks: str | None = "did not respond in time"

    async def wait() -> None:
        nonlocal lacks
        before: object = None
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            runs = await fetch()
            now = [_shape(run) for run in runs]
            lacks = _lacks(runs, last_step, ends=ends) or ("is still processing it" if ends and now != before else None)
            if lacks is None:
                return
            before = now
            await asyncio.sleep(pause)

    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(wait(), timeout)
    return lacks


def _shape(run: RemoteRun) -> object:
    """Return what changes while W&B processes data; not the file URLs, whose signatures always differ."""
    files = [(file.name, file.size, file.md5, file.updated_at) for file in run.files]
    return run.ref.id, run.state, run.last_step, run.line_count, run.summary, files


def _lacks(runs: list[RemoteRun], last_step: int, *, ends: bool) -> str | None:
    live = [run.ref.id for run in runs if run.state in LIVE_STATES]
    if ends and live:
        return f"still reports {', '.join(live[:3])}{', ...' if len(live) > 3 else ''} as running"
    for run in runs:
        if run.last_step < last_step:
            return f"has only step {run.last_step} of {last_step}"
        if ends and any(file.size is None or file.md5 is None for file in run.files):
            return "does not have all of its files yet"
    return None
