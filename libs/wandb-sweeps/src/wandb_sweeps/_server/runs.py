"""What W&B knows about trials."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wandb_sweeps._results import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_sweeps._address import SweepAddress
    from wandb_sweeps._server.lookup import Server


def read_trials(server: Server, sweep: SweepAddress, filters: Mapping[str, Any]) -> list[Trial]:
    """Reads the runs of the sweep's project that W&B's filter lets pass, the oldest first. Blocks.

    Raises:
        SweepUnavailableError: W&B does not tell.
    """
    found: list[Trial] = server.ask(
        lambda connection: [_trial(node) for node in connection.runs(sweep.entity, sweep.project, filters)]
    )
    return found


def _trial(node: Mapping[str, Any]) -> Trial:
    config = {
        key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for key, entry in json.loads(node["config"] or "{}").items()
        if not key.startswith("_")
    }
    summary = json.loads(node["summaryMetrics"] or "{}", parse_constant=float)
    return Trial(
        id=node["name"],
        name=node["displayName"] or node["name"],
        state=node["state"] or "",
        config=config,
        summary={key: value for key, value in summary.items() if not key.startswith("_")},
    )
