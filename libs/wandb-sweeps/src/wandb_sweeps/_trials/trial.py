"""The description of a trial that a task can take as its input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SweepTrial:
    """A trial that W&B has assigned: the input of a trial task, in place of the parameters by name."""

    run_id: str
    """The id of its W&B run."""
    sweep_id: str
    """The sweep, as `entity/project/id`."""
    number: int
    """The number of the trial in its fan-out, from 1: that of the action `trial-1`."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """The parameters that W&B has chosen, by name."""
