"""The result of a fan-out: W&B's data on the sweep, and what only the agents know."""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._errors import SweepNotFoundError, SweepUnavailableError
from wandb_sweeps._results import SweepResult, Trial

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wandb_sweeps._server.lookup import Sweep, SweepServer

_logger = logging.getLogger("wandb_sweeps")

_READ_TIMEOUT = 120.0
_READ_INTERVAL = 5.0


async def summarize(
    server: SweepServer, sweep: Sweep, own_trials: Iterable[Trial], errors: dict[str, str], *warnings: str
) -> SweepResult:
    """Combine W&B's data on the sweep with what only its agents know.

    Args:
        server: The server of the sweep.
        sweep: The sweep.
        own_trials: The trials as their agents have seen them.
        errors: Why agents or trials failed, by name.
        *warnings: Warnings for the result.
    """
    own = {trial.id: trial for trial in own_trials}
    deadline = time.monotonic() + _READ_TIMEOUT
    while True:
        try:
            state, trials = await asyncio.gather(
                to_thread(lambda: server.look_up(sweep.location).state),
                to_thread(lambda: server.read_trials(sweep.location, {"sweep": sweep.location.id})),
            )
            break
        except SweepNotFoundError:
            state, trials = "deleted", list(own.values())
            break
        except SweepUnavailableError as error:
            if time.monotonic() > deadline:
                _logger.warning("The result contains only the fan-out's own trials: %s", error)
                state, trials = "unknown", list(own.values())
                break
        await asyncio.sleep(_READ_INTERVAL)
    found = _warnings(sweep, trials)
    for warning in found:
        _logger.warning("%s", warning)
    return SweepResult(
        sweep_id=str(sweep.location.ref),
        url=sweep.location.ref.url,
        state=state,
        trials=[_with_agent(trial, own.get(trial.id)) for trial in trials],
        metric=sweep.metric,
        goal=sweep.goal,
        errors=errors,
        warnings=[*warnings, *found],
    )


def _warnings(sweep: Sweep, trials: list[Trial]) -> list[str]:
    logged = {key for trial in trials for key in trial.summary}
    if not logged or not sweep.metric or logged & {sweep.metric, sweep.metric.partition(".")[0]}:
        return []
    close = difflib.get_close_matches(sweep.metric, logged, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"they logged {', '.join(map(repr, sorted(logged)[:10]))}"
    return [f"No trial of sweep {sweep.location.id} logged its metric {sweep.metric!r}; {hint}"]


def _with_agent(trial: Trial, own: Trial | None) -> Trial:
    return trial if own is None else replace(trial, agent=own.agent, error=own.error)
