"""A sweep's trial that W&B has assigned to a task: the task that starts it passes it on in the Flyte context."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wandb_runtime.config.context import RUN_ID_KEY, RUN_KEY, decode_record

TRIAL_KEY = "_wandb_trial"
"""The key of the Flyte context that holds an `AssignedTrial`, as JSON."""

NOT_FOR_TRIALS = frozenset(
    {RUN_ID_KEY, RUN_KEY, TRIAL_KEY}
    | {f"wandb_{name}" for name in ("id", "name", "run_mode", "rank_scope", "resume", "resume_from", "fork_from")}
)
"""The keys of the Flyte context that identify a run: a trial's run is identified by W&B and the sweep."""


@dataclass(frozen=True)
class AssignedTrial:
    """The run that the called task opens: W&B has chosen its id and its parameters."""

    run_id: str
    sweep_id: str
    entity: str
    project: str
    host: str
    """The API base URL of the W&B server."""
    parameters: Mapping[str, Any]

    def to_context(self) -> dict[str, str]:
        """Return the keys of the Flyte context that the task reads it from."""
        return {TRIAL_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> AssignedTrial | None:
        """Return the trial that the called task is; None for other tasks."""
        carried = context.get(TRIAL_KEY)
        return decode_record(cls, carried) if carried else None

    def context(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the configuration for its run: the inherited one, without what identifies other runs."""
        place = {"wandb_entity": self.entity, "wandb_project": self.project, "wandb_host": self.host}
        return {**{key: value for key, value in inherited.items() if key not in NOT_FOR_TRIALS}, **place}

    def apply_to(self, init: dict[str, Any]) -> None:
        """Change the arguments of `wandb.init()` to those of the trial's run; a retry of the task continues it."""
        for name in ("resume_from", "fork_from"):
            init.pop(name, None)
        init.update(id=self.run_id, entity=self.entity, project=self.project, resume="allow")
        init["config"] = {**init.get("config", {}), **self.parameters}

    @property
    def settings(self) -> dict[str, Any]:
        """The `settings` of `wandb.init()` that make the run one of the sweep."""
        return {"sweep_id": self.sweep_id, "base_url": self.host}
