"""The current sweep: where it is, and how a task hands it to its child tasks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from wandb_artifacts import SweepRef
from wandb_runtime.config.context import SWEEP_ID_KEY, flyte_context

if TYPE_CHECKING:
    from collections.abc import Mapping

SWEEP_KEY = "_wandb_sweep"
"""The key of the Flyte context that holds the current sweep's location, as JSON."""


@dataclass(frozen=True)
class SweepLocation:
    """The location of a sweep. Child tasks receive it through the Flyte context; it is not configuration."""

    id: str
    entity: str
    project: str
    host: str
    """The API base URL of the W&B server."""
    config_fingerprint: str = ""
    """The fingerprint of the sweep configuration that was effective when the sweep was created. A child task that finds
    a configuration with another fingerprint creates its own sweep."""

    @property
    def ref(self) -> SweepRef:
        """The sweep as users write it: `entity/project/id`."""
        return SweepRef(self.entity, self.project, self.id, self.host)

    def to_context(self) -> dict[str, str]:
        """Return the keys of the Flyte context from which child tasks read the sweep."""
        return {SWEEP_ID_KEY: self.id, SWEEP_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> SweepLocation | None:
        """Read the sweep of the nearest ancestor task that has one."""
        carried = context.get(SWEEP_KEY)
        if not carried:
            return None
        found = json.loads(carried)
        # A newer version may add keys.
        return cls(**{item.name: found[item.name] for item in fields(cls) if item.name in found})

    @classmethod
    def current(cls) -> SweepLocation | None:
        """Read the sweep of the current task, or of its nearest ancestor that has one."""
        return cls.from_context(flyte_context())


def get_wandb_sweep_id() -> str | None:
    """Return the id of the current W&B sweep.

    Returns:
        The id in a task with `@wandb_sweep`, in the tasks that it calls, and in the trials of their agents; None
        elsewhere.
    """
    return flyte_context().get(SWEEP_ID_KEY) or None
