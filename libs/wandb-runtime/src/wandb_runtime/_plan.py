"""Which W&B run a task opens or joins: the one place that decides.

Pure functions of plain values; the rules are the table in the documentation of `wandb_init`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from wandb_runtime._errors import NoParentRunError
from wandb_runtime.context import RUN_ID_KEY, RUN_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_runtime._config import WandbConfig
    from wandb_runtime._task import TaskIdentity

# Fields of the configuration that are not parameters of wandb.init().
_OURS = frozenset(
    {"download_logs", "finish_timeout", "flyte_metadata", "host", "on_unavailable", "rank_scope", "run_mode"}
)
# Parameters of wandb.init() that a plan sets by itself.
_PLANNED = frozenset({"id", "reinit", "settings"})
_FINISH_TIMEOUT = 600.0


@dataclass(frozen=True)
class RunAddress:
    """Where a run is. Handed to child tasks through the Flyte context: an address, not configuration."""

    id: str
    entity: str | None = None
    project: str | None = None
    host: str | None = None
    mode: str = "online"

    def to_context(self) -> dict[str, str]:
        """The keys a child task reads it from."""
        return {RUN_ID_KEY: self.id, RUN_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> RunAddress | None:
        """The run of the nearest decorated ancestor; None where there is none."""
        carried = context.get(RUN_KEY)
        return cls(**json.loads(carried)) if carried else None


@dataclass(frozen=True)
class Surroundings:
    """What a decorated function finds where it is called."""

    context: WandbConfig
    environment: Mapping[str, str]
    task: TaskIdentity | None = None
    """The Flyte action whose body the function is; None for a plain function."""
    short_name: str | None = None
    """The short name of that task."""
    nearest: RunAddress | None = None
    """The run in force: for a task its nearest decorated ancestor's, for a plain function the one of its caller."""
    is_joinable: bool = False
    """Whether that run can be written to from this process."""


@dataclass(frozen=True)
class JoinPlan:
    """Reuse a run that is open, add to it, leave it open."""

    address: RunAddress
    config: Mapping[str, Any]
    """Values of the decorator: they win over what the run's config has."""
    inherited_config: Mapping[str, Any]
    """Values of the context: most are the opener's too, whose decorator wins over them."""
    tags: tuple[str, ...]


@dataclass(frozen=True)
class OpenPlan:
    """Open a run by these arguments of `wandb.init()`, and close it."""

    init: Mapping[str, Any]
    settings: Mapping[str, Any]
    metadata: Mapping[str, Any] | None
    goes_offline: bool
    downloads_logs: bool

    @property
    def host(self) -> str | None:
        """The API address of the W&B server, where one was given."""
        host: str | None = self.settings.get("base_url")
        return host


def plan_run(decorator: WandbConfig, around: Surroundings) -> JoinPlan | OpenPlan:
    """Decides which run a decorated function opens or joins.

    Args:
        decorator: The decorator's arguments.
        around: What the function finds where it is called.

    Raises:
        NoParentRunError: `run_mode="shared"`, and there is no run to share.
    """
    effective = around.context.merged(decorator)
    run_mode = effective.run_mode or "auto"
    nearest = around.nearest
    if run_mode == "shared" and (nearest is None or not around.is_joinable):
        raise NoParentRunError(_no_parent(nearest))
    has_own_id = decorator.id is not None and nearest is not None and decorator.id != nearest.id
    if run_mode != "new" and not has_own_id and nearest is not None and around.is_joinable:
        return JoinPlan(
            nearest,
            config=decorator.config or {},
            inherited_config=around.context.config or {},
            tags=tuple(effective.tags or ()),
        )
    return _plan_open(decorator, effective, around)


def _no_parent(nearest: RunAddress | None) -> str:
    if nearest is None:
        return (
            'run_mode="shared": no W&B run to share: no task above this one has @wandb_init. Decorate the parent task, '
            'or use run_mode="auto", which opens a run where there is none'
        )
    return (
        f'run_mode="shared": the parent\'s W&B run {nearest.id!r} takes no second writer. Give the parent task '
        '@wandb_init(mode="shared"), or use run_mode="auto", which opens a run of its own'
    )


def _plan_open(decorator: WandbConfig, effective: WandbConfig, around: Surroundings) -> OpenPlan:
    forwarded = effective.fields.keys() - _OURS - _PLANNED
    init = {name: value for name in forwarded if (value := getattr(effective, name)) is not None}
    if run_id := new_run_id(decorator.id, around.context.id, around.task):
        init["id"] = run_id
    if around.task is not None:
        for name, variable, default in (
            ("group", "WANDB_RUN_GROUP", around.task.run_name),
            ("job_type", "WANDB_JOB_TYPE", around.short_name),
        ):
            if not around.environment.get(variable) and default:
                init.setdefault(name, default)
        # A retry of the action finds its run by the id and continues it.
        if init.keys().isdisjoint({"resume", "resume_from", "fork_from"}):
            init["resume"] = "allow"
    return OpenPlan(
        init=init,
        settings=_settings(effective, around),
        metadata=None if effective.flyte_metadata is False else _metadata(around),
        goes_offline=effective.on_unavailable == "offline",
        downloads_logs=effective.download_logs or False,
    )


def new_run_id(own_id: str | None, configured_id: str | None, task: TaskIdentity | None) -> str | None:
    """The id of a run that is opened; None where W&B makes one.

    Deterministic for a task: a retry finds its run again, and a link names it before the task has started.

    Args:
        own_id: The id the decorator was given.
        configured_id: The id in the configuration: for the top-level task, or the stem of its children's ids.
        task: The action that opens the run; None for a plain function.
    """
    if own_id is not None or task is None:
        return own_id
    if configured_id is not None:
        return configured_id if task.is_top_level else f"{configured_id}-{task.action_name}"
    return f"{task.run_name}-{task.action_name}"


def _settings(effective: WandbConfig, around: Surroundings) -> dict[str, Any]:
    # W&B waits for ever by default, and does not say when it gave up.
    settings: dict[str, Any] = {"finish_timeout_raises": True}
    if effective.finish_timeout is not None or not around.environment.get("WANDB_FINISH_TIMEOUT"):
        settings["finish_timeout"] = effective.finish_timeout or _FINISH_TIMEOUT
    if effective.host is not None:
        settings["base_url"] = effective.host
    if around.task is not None and around.task.is_local and not around.environment.get("WANDB_CONSOLE"):
        # W&B captures the console of the whole process: the runs of parallel local tasks would get each other's lines.
        settings["console"] = "off"
    return {**settings, **(effective.settings or {})}


def _metadata(around: Surroundings) -> dict[str, Any] | None:
    task = around.task
    if task is None:
        return None
    known = {
        "run": task.run_name,
        "action": task.action_name,
        "task": around.short_name,
        "project": task.project,
        "domain": task.domain,
        "version": task.version,
        "attempt": task.attempt,
    }
    return {name: value for name, value in known.items() if value is not None}
