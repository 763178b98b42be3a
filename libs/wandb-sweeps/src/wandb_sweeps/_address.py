"""Where a sweep is, as a task hands it to the tasks it calls."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from wandb_artifacts import SweepRef
from wandb_runtime.config.context import SWEEP_ID_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

SWEEP_KEY = "_wandb_sweep"
"""The key of the Flyte context that carries the address of the sweep in force, as JSON."""


@dataclass(frozen=True)
class SweepAddress:
    """The sweep in force. Handed to child tasks through the Flyte context: an address, not configuration."""

    id: str
    entity: str
    project: str
    host: str
    """The API address of the W&B server."""
    made_from: str = ""
    """The fingerprint of the sweep configuration it was made in the reach of: a child that finds another one makes a
    sweep of its own."""

    @property
    def ref(self) -> SweepRef:
        """The same address as users know it."""
        return SweepRef(self.entity, self.project, self.id, self.host)

    def to_context(self) -> dict[str, str]:
        """The keys a child task reads it from."""
        return {SWEEP_ID_KEY: self.id, SWEEP_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> SweepAddress | None:
        """The sweep of the nearest task above that has one; None where there is none."""
        carried = context.get(SWEEP_KEY)
        if not carried:
            return None
        found = json.loads(carried)
        # A newer version may carry more.
        return cls(**{item.name: found[item.name] for item in fields(cls) if item.name in found})
