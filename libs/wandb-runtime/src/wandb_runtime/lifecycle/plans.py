"""Plain values of planning: what a decorated function finds where it is called, and the plans made from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from wandb_runtime.config.context import RUN_ID_KEY, RUN_KEY, decode_record

if TYPE_CHECKING:
    from wandb_runtime.config.run import WandbConfig
    from wandb_runtime.lifecycle.sweep_trials import AssignedTrial
    from wandb_runtime.tasks.action import TaskIdentity
    from wandb_runtime.tasks.distributed import DistributedInfo

OFFLINE_MODES = ("offline", "disabled", "dryrun")
"""The values of `mode` in which wandb sends nothing to a server."""

# Arguments of `wandb.init()` that would undo changes if a run is opened again.
_FIRST_TIME = frozenset({"config", "fork_from", "name", "notes", "resume_from", "tags"})


@dataclass(frozen=True)
class RunLocation:
    """Location of a run. Handed to child tasks through the Flyte context: a location, not configuration."""

    id: str
    entity: str | None = None
    project: str | None = None
    host: str | None = None
    mode: str = "online"
    group: str | None = None
    """The group of the runs of children that cannot join this run."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes can write to the run."""
        return self.mode == "shared"

    @property
    def is_online(self) -> bool:
        """Whether the run is on a server, rather than in local files or nowhere."""
        return self.mode not in OFFLINE_MODES

    def to_context(self) -> dict[str, str]:
        """Return the keys of the Flyte context that a child task reads it from."""
        return {RUN_ID_KEY: self.id, RUN_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> RunLocation | None:
        """Return the run of the nearest decorated ancestor; None if no ancestor has one."""
        carried = context.get(RUN_KEY)
        return decode_record(cls, carried) if carried else None


@dataclass(frozen=True)
class PlanningContext:
    """Everything that planning reads, apart from the decorator's arguments."""

    config: WandbConfig
    """The configuration in the Flyte context."""
    environment: Mapping[str, str]
    task: TaskIdentity | None = None
    """The Flyte action whose body the function is; None for a plain function."""
    short_name: str | None = None
    """The short name of that task."""
    inherited: RunLocation | None = None
    """The current run: of the nearest decorated ancestor for a task, of the caller for a plain function."""
    is_open_in_process: bool = False
    """Whether the inherited run is open in this process."""
    can_be_joined: bool = False
    """Whether the body can call tasks that join the run from other processes."""
    ranks: DistributedInfo | None = None
    """The rank of this process in a distributed task; None for other tasks and for plain functions."""
    read_inputs: Callable[[], Mapping[str, Any]] = dict
    """Returns the inputs of the call, as values for the run's config."""
    trial: AssignedTrial | None = None
    """The trial of a sweep that the task is."""

    @property
    def is_remote(self) -> bool:
        """Whether the function is a task in a pod."""
        return self.task is not None and not self.task.is_local

    @property
    def is_trial(self) -> bool:
        """Whether the function is a sweep objective, called by an agent."""
        return self.task is None and bool(self.environment.get("WANDB_SWEEP_ID"))

    @property
    def writer_label(self) -> str | None:
        """A label that distinguishes the tasks that write to one run."""
        if self.task is None:
            return None
        rank = f"-rank-{self.ranks['rank']}" if self.ranks else ""
        return f"{self.short_name}-{self.task.action_name}{rank}"


@dataclass(frozen=True)
class RunUpdate:
    """Config values and tags that a task adds to a run that it joins."""

    config: Mapping[str, Any]
    """Values of the decorator, which override those of the run."""
    inherited_config: Mapping[str, Any]
    """Values of the context: the run has most of them already, and the opener's decorator overrides them."""
    tags: tuple[str, ...]


@dataclass(frozen=True)
class JoinPlan:
    """Share a run that is open in this process, and leave it open."""

    location: RunLocation
    update: RunUpdate


@dataclass(frozen=True)
class WriterPlan:
    """Write to a shared run that another process has opened and will finish."""

    location: RunLocation
    update: RunUpdate
    settings: Mapping[str, Any]
    fallback: OpenPlan | None
    """The plan for when W&B is unavailable; None: fail."""


@dataclass(frozen=True)
class OpenPlan:
    """Open a run with these arguments of `wandb.init()`, and finish it."""

    init: Mapping[str, Any]
    settings: Mapping[str, Any]
    metadata: Mapping[str, Any] | None
    """The description of the Flyte action, for the run's config."""
    downloads_logs: bool
    inputs: Mapping[str, Any] | None = None
    """The inputs of the call, for the run's config."""
    task: TaskIdentity | None = None
    """The action that opens the run; None for a plain function."""
    notice: str | None = None
    """A warning about the choice, for the user."""
    fallback: OpenPlan | None = None
    """The plan for when W&B is unavailable; None: fail."""
    is_trial: bool = False
    """Whether the run is the trial of a sweep that the task is."""

    @property
    def init_again(self) -> Mapping[str, Any]:
        """The arguments that open the run again: what the body has changed since then is kept."""
        return {**{name: value for name, value in self.init.items() if name not in _FIRST_TIME}, "resume": "allow"}

    @property
    def host(self) -> str | None:
        """The API base URL of the W&B server, if one was given."""
        host: str | None = self.settings.get("base_url")
        return host


@dataclass(frozen=True)
class NoRunPlan:
    """Have no run: this process of a distributed task does not log."""


Plan = JoinPlan | WriterPlan | OpenPlan | NoRunPlan
