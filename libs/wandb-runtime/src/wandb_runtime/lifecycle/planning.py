"""Which W&B run a task opens or joins: the one place that decides.

Pure functions of plain values; the rules are the table in the documentation of `wandb_init`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from wandb_runtime._errors import NoParentRunError
from wandb_runtime._places import Place, modes_of, own_place, place_of
from wandb_runtime.context import RUN_ID_KEY, RUN_KEY

if TYPE_CHECKING:
    from wandb_runtime._config import WandbConfig
    from wandb_runtime._ranks import DistributedInfo
    from wandb_runtime._task import TaskIdentity

# Fields of the configuration that are not handed on to wandb.init() as they are.
_NOT_FORWARDED = frozenset(
    {
        "download_logs",
        "finish_timeout",
        "flyte_metadata",
        "host",
        "id",
        "on_unavailable",
        "rank_scope",
        "reinit",
        "run_mode",
        "settings",
    }
)
_FINISH_TIMEOUT = 600.0
# Whole seconds; W&B's own 15 s is what a killed pod would lose.
_FLUSH_INTERVALS = {"x_file_stream_transmit_interval": 1, "x_transaction_log_flush_interval": 1}
_SECOND_WRITER = {
    "x_primary": False,
    # By default W&B marks a run as finished when any of its writers ends.
    "x_update_finish_state": False,
}
_WITHOUT_SERVER = ("offline", "disabled", "dryrun")


Settings = Mapping[str, Any]
"""The values of the settings in force, by name; those that were given."""


@dataclass(frozen=True)
class RunAddress:
    """Where a run is. Handed to child tasks through the Flyte context: an address, not configuration."""

    id: str
    entity: str | None = None
    project: str | None = None
    host: str | None = None
    mode: str = "online"
    group: str | None = None
    """Where children that cannot join the run put theirs."""

    @property
    def takes_writers(self) -> bool:
        """Whether other processes can write to the run."""
        return self.mode == "shared"

    @property
    def has_server(self) -> bool:
        """Whether the run is on a server, rather than in files of its process or nowhere."""
        return self.mode not in _WITHOUT_SERVER

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
    is_open_here: bool = False
    """Whether this process has that run open."""
    may_be_joined: bool = False
    """Whether the body can call tasks that join the run from processes of their own."""
    ranks: DistributedInfo | None = None
    """Which process of the task this is, where it has several; None for a plain function."""

    @property
    def is_remote(self) -> bool:
        """Whether it is a task in a pod."""
        return self.task is not None and not self.task.is_local

    @property
    def is_trial(self) -> bool:
        """Whether it is the objective of a sweep, which an agent has called."""
        return self.task is None and bool(self.environment.get("WANDB_SWEEP_ID"))

    @property
    def label(self) -> str | None:
        """What tells the tasks that write to one run apart."""
        if self.task is None:
            return None
        rank = f"-rank-{self.ranks['rank']}" if self.ranks else ""
        return f"{self.short_name}-{self.task.action_name}{rank}"


@dataclass(frozen=True)
class Additions:
    """What a task adds to a run that it joins."""

    config: Mapping[str, Any]
    """Values of the decorator: they win over what the run's config has."""
    inherited_config: Mapping[str, Any]
    """Values of the context: most are the opener's too, whose decorator wins over them."""
    tags: tuple[str, ...]


@dataclass(frozen=True)
class JoinPlan:
    """Reuse a run that this process has open, and leave it open."""

    address: RunAddress
    additions: Additions


@dataclass(frozen=True)
class WriterPlan:
    """Write to a run that another process has open for several writers, and that ends it."""

    address: RunAddress
    additions: Additions
    settings: Mapping[str, Any]
    otherwise: OpenPlan | None
    """What to do when W&B cannot be reached; None: fail."""


@dataclass(frozen=True)
class OpenPlan:
    """Open a run by these arguments of `wandb.init()`, and close it."""

    init: Mapping[str, Any]
    settings: Mapping[str, Any]
    metadata: Mapping[str, Any] | None
    otherwise: OpenPlan | None
    """What to do when W&B cannot be reached; None: fail."""
    downloads_logs: bool
    notice: str | None = None
    """What the user should know about the choice."""

    @property
    def host(self) -> str | None:
        """The API address of the W&B server, where one was given."""
        host: str | None = self.settings.get("base_url")
        return host


@dataclass(frozen=True)
class SilentPlan:
    """Have no run: this process of a distributed task does not log."""


Plan = JoinPlan | WriterPlan | OpenPlan | SilentPlan


def plan_run(decorator: WandbConfig, around: Surroundings) -> Plan:
    """Decides which run a decorated function opens or joins.

    Args:
        decorator: The decorator's arguments.
        around: What the function finds where it is called.

    Raises:
        NoParentRunError: `run_mode="shared"`, and there is no run to share; or the decorator names the parent's run,
            which takes no second writer.
    """
    effective: Settings = around.context.values_under(decorator)
    place = place_of(around.ranks, effective)
    if place is None:
        return SilentPlan()
    nearest = around.nearest
    if effective.get("run_mode") == "new" or nearest is None or (decorator.id or nearest.id) != nearest.id:
        if effective.get("run_mode") == "shared" and nearest is None and around.ranks is None:
            raise NoParentRunError(_NO_PARENT)
        return _plan_own(decorator, effective, around, place)
    additions = Additions(decorator.config or {}, around.context.config or {}, tuple(effective.get("tags", ())))
    if around.is_open_here and (not around.is_remote or nearest.takes_writers):
        return JoinPlan(nearest, additions)
    if around.is_remote and nearest.takes_writers:
        settings = {**_settings(effective, around), **_SECOND_WRITER}
        if nearest.host:
            settings["base_url"] = nearest.host
        settings.setdefault("x_label", around.label)
        alone = _plan_open(decorator, effective, around, _without_others(place, around, effective), nearest)
        return WriterPlan(nearest, additions, settings, alone.otherwise)
    if nearest.has_server and (effective.get("run_mode") == "shared" or decorator.id == nearest.id):
        raise NoParentRunError(_ONE_WRITER.format(what=_asked_for(decorator, effective), id=nearest.id))
    return _plan_own(decorator, effective, around, place, beside=nearest)


_NO_PARENT = (
    'run_mode="shared": no W&B run to share: no task above this one has @wandb_init. Decorate the parent task, '
    'or use run_mode="auto", which opens a run where there is none'
)
_ONE_WRITER = (
    "{what}: the parent's W&B run {id!r} takes no second writer. Give the parent task "
    '@wandb_init(mode="shared"), or use run_mode="auto", which opens a run of its own'
)
_NO_TASK_FOR_LOGS = (
    "download_logs=True has no effect on a function that is not called as a Flyte task, which alone has outputs: "
    "download_wandb_run_dir() downloads its run to a folder"
)
_OPENS_ITS_OWN = (
    "The parent task's W&B run {parent!r} takes no second writer: this task opens a run of its own in group {group!r}. "
    'For one run of both, give the parent task @wandb_init(mode="shared")'
)


def _asked_for(decorator: WandbConfig, effective: Settings) -> str:
    return 'run_mode="shared"' if effective.get("run_mode") == "shared" else f"id={decorator.id!r}"


def _plan_own(
    decorator: WandbConfig,
    effective: Settings,
    around: Surroundings,
    place: Place,
    beside: RunAddress | None = None,
) -> OpenPlan | WriterPlan:
    """Plans a run of the task's own, which its ranks may share."""
    alone = _plan_open(decorator, effective, around, _without_others(place, around, effective), beside)
    if place.label is None:
        return alone
    has_server = (alone.init.get("mode") or around.environment.get("WANDB_MODE")) not in _WITHOUT_SERVER
    # Locally each process of a launcher is a Flyte run of its own: they have an id in common only if it was given.
    has_common_id = around.is_remote or decorator.id is not None or around.context.id is not None
    if not (has_server and has_common_id):
        return alone
    shared = replace(_plan_open(decorator, effective, around, place, beside), otherwise=alone.otherwise)
    if place.is_primary:
        return shared
    address = RunAddress(
        id=shared.init["id"],
        entity=shared.init.get("entity"),
        project=shared.init.get("project"),
        host=shared.host,
        mode="shared",
    )
    return WriterPlan(address, Additions({}, {}, ()), {**shared.settings, **_SECOND_WRITER}, shared.otherwise)


def _without_others(place: Place, around: Surroundings, effective: Settings) -> Place:
    """The place of a process that cannot write to a run of several: offline each has its own."""
    if around.ranks is None or place.label is None:
        return place
    return own_place(around.ranks, modes_of(effective)[1])


def _plan_open(
    decorator: WandbConfig,
    effective: Settings,
    around: Surroundings,
    place: Place,
    beside: RunAddress | None = None,
) -> OpenPlan:
    """Plans the opening of a run.

    Args:
        decorator: The decorator's arguments.
        effective: The context with the decorator's arguments on top.
        around: What the function finds where it is called.
        place: What this process of the task has to do with the run.
        beside: The parent's run that it would have joined, if that could be joined.
    """
    init = {name: value for name, value in effective.items() if name not in _NOT_FORWARDED}
    if "config" in init:
        # The SDK and the body may change it.
        init["config"] = {
            key: copy.deepcopy(value) if isinstance(value, (dict, list)) else value
            for key, value in init["config"].items()
        }
    base = new_run_id(decorator.id, around.context.id, around.task)
    if around.is_trial:
        # W&B has chosen them; wandb.init would warn of each that it ignores.
        base = None
        init = {name: value for name, value in init.items() if name not in ("entity", "project")}
    if base is not None:
        init["id"] = f"{base}{place.id_suffix}"
    if around.task is not None:
        group = (beside and beside.group) or around.task.run_name
        if place.group_suffix is not None:
            group = f"{base}{place.group_suffix}"
        for name, variable, default in (
            ("group", "WANDB_RUN_GROUP", group),
            ("job_type", "WANDB_JOB_TYPE", around.short_name),
        ):
            if name not in init and default and not _has(around.environment, variable):
                init[name] = default
        # A retry of the action finds its run by the id and continues it.
        if init.keys().isdisjoint({"resume", "resume_from", "fork_from"}):
            init["resume"] = "allow"
    if beside is not None and not beside.has_server:
        init.setdefault("mode", beside.mode)
    settings = _settings(effective, around)
    if around.is_remote or place.label is not None:
        mode = init.get("mode") or around.environment.get("WANDB_MODE")
        if place.label is not None or (mode is None and around.may_be_joined):
            mode = init["mode"] = "shared"
        if mode == "shared":
            settings.setdefault("x_label", place.label or around.label)
    plan = OpenPlan(
        init=init,
        settings=settings,
        metadata=None if effective.get("flyte_metadata") is False else _metadata(around),
        otherwise=None,
        downloads_logs=around.task is not None and effective.get("download_logs", False),
        notice=_NO_TASK_FOR_LOGS if around.task is None and decorator.download_logs else None,
    )
    if effective.get("on_unavailable") == "offline":
        plan = replace(plan, otherwise=replace(plan, init={**init, "mode": "offline"}))
    if beside is not None and beside.has_server:
        plan = replace(plan, notice=_OPENS_ITS_OWN.format(parent=beside.id, group=init.get("group")))
    return plan


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


def _settings(effective: Settings, around: Surroundings) -> dict[str, Any]:
    # W&B waits for ever by default, and does not say when it gave up.
    settings: dict[str, Any] = {"finish_timeout_raises": True}
    defaults: dict[str, Any] = {"finish_timeout": _FINISH_TIMEOUT}
    if around.is_remote:
        defaults |= _FLUSH_INTERVALS
    if around.task is not None and not around.task.has_own_process:
        # W&B captures the console of the whole process: the runs of parallel tasks would get each other's lines.
        defaults["console"] = "off"
    settings |= {name: value for name, value in defaults.items() if not _is_set(name, around.environment)}
    if "finish_timeout" in effective:
        settings["finish_timeout"] = effective["finish_timeout"]
    if "host" in effective:
        settings["base_url"] = effective["host"]
    return {**settings, **effective.get("settings", {})}


def _is_set(setting: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment gives one of W&B's settings; those that start with `x_` have two spellings."""
    if setting.startswith("x_") and _has(environment, f"WANDB_{setting.removeprefix('x').upper()}"):
        return True
    return _has(environment, f"WANDB_{setting.upper()}")


def _has(environment: Mapping[str, str], variable: str) -> bool:
    """Whether a variable says something; `get` of os.environ takes five times as long where there is none."""
    return variable in environment and bool(environment[variable])


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
        "url": task.url,
    }
    return {name: value for name, value in known.items() if value is not None}
