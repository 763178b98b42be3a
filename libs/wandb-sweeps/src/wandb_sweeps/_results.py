"""What agents and fan-outs have done, as Flyte carries it from task to task."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One run of the objective."""

    id: str
    """The id of its W&B run."""
    name: str
    """What W&B calls the run."""
    state: str
    """The state of the run: "finished", "failed", "crashed", "preempted", "running", ..."""
    config: dict[str, Any] = field(default_factory=dict)
    """The parameters that W&B chose, and what else is in the run's config."""
    summary: dict[str, Any] = field(default_factory=dict)
    """The last value of everything that was logged."""
    agent: str = ""
    """The name of the agent that ran it; empty where that is not known."""
    error: str = ""
    """Why it has not finished, where its agent knows."""


@dataclass(frozen=True)
class AgentResult:
    """What one agent has done."""

    agent: str
    """The name of the agent."""
    sweep_id: str
    """The sweep, as `entity/project/id`."""
    trials: list[Trial]
    """In the order in which they were run."""
    ended: str
    """Why the agent has ended: "finished" (W&B has no more trials for it), "count" (it has run as many as it was to),
    "failures" (`max_failures` trials have failed one after the other), "idle" (there was nothing to do for
    `idle_timeout` seconds) or "deleted" (the sweep is gone)."""

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in which state."""
        return dict(Counter(trial.state for trial in self.trials))


@dataclass(frozen=True)
class SweepResult:
    """What the agents of a fan-out have done, and what the sweep has come to."""

    sweep_id: str
    """The sweep, as `entity/project/id`."""
    url: str
    """Its page in the W&B app."""
    state: str
    """Its state, in lower case: "running", "paused", "finished", "canceled", ..."""
    trials: list[Trial]
    """All trials of the sweep, those of other agents and of earlier attempts too, the oldest first."""
    metric: str = ""
    """What the sweep optimizes; empty where its configuration does not say."""
    goal: str = "minimize"
    """Which values are better: "minimize" or "maximize"."""
    errors: dict[str, str] = field(default_factory=dict)
    """Why agents have failed, by the name of the agent."""

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in which state."""
        return dict(Counter(trial.state for trial in self.trials))

    @property
    def ranked(self) -> list[Trial]:
        """The trials, the best first by the sweep's metric and goal; those that have no number for it last."""
        return sorted(self.trials, key=self._rank)

    @property
    def best(self) -> Trial | None:
        """The best finished trial, or else the best of the others; None where no trial has a number for the metric."""
        measured = [trial for trial in self.ranked if self.value_of(trial) is not None]
        finished = [trial for trial in measured if trial.state == "finished"]
        return next(iter(finished or measured), None)

    def value_of(self, trial: Trial) -> float | None:
        """The sweep's metric of a trial.

        Args:
            trial: One of the sweep.

        Returns:
            The value, None where it is no finite number. A metric named `val.loss` is found in nested summaries too.
        """
        if not self.metric:
            return None
        value: Any = trial.summary.get(self.metric)
        if value is None:
            value = trial.summary
            for part in self.metric.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):  # define_metric(..., summary="min")
            value = value.get("max" if self.goal == "maximize" else "min")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        return float(value)

    def _rank(self, trial: Trial) -> float:
        value = self.value_of(trial)
        if value is None:
            return math.inf
        return -value if self.goal == "maximize" else value
