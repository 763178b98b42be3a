"""The results of agents and fan-outs. Flyte carries them from task to task."""

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
    """The display name of the run."""
    state: str
    """The state of the run: "finished", "failed", "crashed", "preempted", "running", ..."""
    config: dict[str, Any] = field(default_factory=dict)
    """The run's config, including the parameters that W&B chose."""
    summary: dict[str, Any] = field(default_factory=dict)
    """The last value of each logged key."""
    agent: str = ""
    """The name of the agent or action that ran it; empty if unknown."""
    error: str = ""
    """Why it did not finish, if its agent knows."""


@dataclass(frozen=True)
class AgentResult:
    """The trials of one agent."""

    agent: str
    """The name of the agent."""
    sweep_id: str
    """The sweep, as `entity/project/id`."""
    trials: list[Trial]
    """In the order in which they were run."""
    ended: str
    """Why the agent ended: "finished" (W&B has no more trials for it), "count" (it ran `count` trials), "failures"
    (`max_failures` trials failed in a row), "idle" (it got no trial for `idle_timeout` seconds) or "deleted" (the sweep
    was deleted)."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of trials in each state."""
        return dict(Counter(trial.state for trial in self.trials))


@dataclass(frozen=True)
class SweepResult:
    """The trials of a sweep after a fan-out, and the errors of its agents."""

    sweep_id: str
    """The sweep, as `entity/project/id`."""
    url: str
    """Its page in the W&B app."""
    state: str
    """Its state, in lower case: "running", "paused", "finished", "canceled", "deleted", ..."""
    trials: list[Trial]
    """All trials of the sweep, including those of other agents and of earlier attempts, the oldest first."""
    metric: str = ""
    """The metric that the sweep optimizes; empty if its configuration names none."""
    goal: str = "minimize"
    """The direction of better values: "minimize" or "maximize"."""
    errors: dict[str, str] = field(default_factory=dict)
    """Why agents failed, by the agent's name; of `fan_out_sweep_trials`: why trials failed, by the action's name."""
    warnings: list[str] = field(default_factory=list)
    """Things that are probably not as intended: no trial logged the metric, for example."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of trials in each state."""
        return dict(Counter(trial.state for trial in self.trials))

    @property
    def ranked(self) -> list[Trial]:
        """The trials, the best first by the sweep's metric and goal; those without a number for the metric last."""
        return sorted(self.trials, key=self._rank)

    @property
    def best(self) -> Trial | None:
        """The best finished trial, else the best of the others; None if no trial has a number for the metric."""
        measured = [trial for trial in self.ranked if self.value_of(trial) is not None]
        finished = [trial for trial in measured if trial.state == "finished"]
        return next(iter(finished or measured), None)

    def value_of(self, trial: Trial) -> float | None:
        """Return the value of the sweep's metric for a trial.

        Args:
            trial: A trial of the sweep.

        Returns:
            The value, or None if it is not a finite number. A metric named `val.loss` is found in nested summaries too.
            Of the values that `define_metric(metric, summary=...)` stores, it is the extremum in the sweep's direction,
            else the best, last, mean or first value, else the other extremum.
        """
        if not self.metric:
            return None
        value: Any = trial.summary.get(self.metric)
        if value is None:
            value = trial.summary
            for part in self.metric.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):
            extrema = ("max", "min") if self.goal == "maximize" else ("min", "max")
            kinds = (extrema[0], "best", "last", "mean", "first", extrema[1])
            value = next((value[kind] for kind in kinds if kind in value), None)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        return float(value)

    def _rank(self, trial: Trial) -> float:
        value = self.value_of(trial)
        if value is None:
            return math.inf
        return -value if self.goal == "maximize" else value
