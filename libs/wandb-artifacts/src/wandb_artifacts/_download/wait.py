"""Waiting for W&B to show all that it was sent: it takes a moment after the end of a run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from wandb_artifacts._client.api import Api
from wandb_artifacts._download.results import LIVE_STATES

if TYPE_CHECKING:
    from wandb_artifacts._client.api import RemoteRun
    from wandb_artifacts._refs import RunRef, SweepRef

_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between two questions; the last one from then on."""

_Look: TypeAlias = Callable[[], Awaitable["list[RemoteRun]"]]


async def run_settled(ref: RunRef, *, last_step: int, ends: bool, timeout: float) -> str | None:
    """Waits until W&B has a run as it is to be.

    Args:
        ref: The run.
        last_step: The last step that is known to have been logged; -1 where that is not known.
        ends: Whether the run is over, or about to be, so that nothing of it is to change any more.
        timeout: Seconds to wait at most.

    Returns:
        None; or what W&B still lacks when the time is over, or says so, in words for a message.

    Raises:
        DownloadError: W&B cannot be asked, or does not know of the run.
    """
    async with await Api.open(ref.host, jobs=1) as api:

        async def look() -> list[RemoteRun]:
            return [await api.run(ref)]

        return await _settled(look, last_step, ends=ends, timeout=timeout)


async def sweep_settled(ref: SweepRef, *, timeout: float) -> str | None:
    """Waits until nothing of a sweep's runs changes any more; see `run_settled`."""
    async with await Api.open(ref.host, jobs=1) as api:

        async def look() -> list[RemoteRun]:
            return [run async for _, page in api.runs(ref) for run in page]

        return await _settled(look, -1, ends=True, timeout=timeout)


async def _settled(look: _Look, last_step: int, *, ends: bool, timeout: float) -> str | None:
    lacks: str | None = "does not answer in time"

    async def wait() -> None:
        nonlocal lacks
        before: object = None
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            runs = await look()
            now = [_shape(run) for run in runs]
            lacks = _lacks(runs, last_step, ends=ends) or ("is still taking it in" if ends and now != before else None)
            if lacks is None:
                return
            before = now
            await asyncio.sleep(pause)

    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(wait(), timeout)
    return lacks


def _shape(run: RemoteRun) -> object:
    """What changes as W&B takes in what it was sent; not the addresses of files, whose signatures differ each time."""
    files = [(file.name, file.size, file.md5, file.updated_at) for file in run.files]
    return run.ref.id, run.state, run.last_step, run.line_count, run.summary, files


def _lacks(runs: list[RemoteRun], last_step: int, *, ends: bool) -> str | None:
    live = [run.ref.id for run in runs if run.state in LIVE_STATES]
    if ends and live:
        return f"says of {', '.join(live[:3])}{', ...' if len(live) > 3 else ''} that it still runs"
    for run in runs:
        if run.last_step < last_step:
            return f"has it up to step {run.last_step} of {last_step}"
        if ends and any(file.size is None or file.md5 is None for file in run.files):
            return "does not have all of its files yet"
    return None
