"""Settings of W&B runs: `wandb_config` and `get_wandb_context`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from typing_extensions import TypedDict, Unpack
from wandb_artifacts import check_host

from wandb_runtime.config import limits, validators, values
from wandb_runtime.config.context import ContextConfig, Field, TextField
from wandb_runtime.config.report import check_report

if TYPE_CHECKING:
    from argparse import Namespace

    import wandb

RunMode = Literal["auto", "new", "shared"]
"""Whether a task reuses the parent task's run or opens one, always opens one, or always reuses the parent's."""

RankScope = Literal["global", "worker"]
"""The ranks of a distributed task that a run belongs to: all of them, or those of one worker."""

OnUnavailable = Literal["raise", "offline"]
"""The reaction of a task to W&B being unavailable: fail before its body, or log offline."""

Mode = Literal["online", "offline", "disabled", "shared"]
"""The mode of `wandb.init()`."""


class InitOptions(TypedDict, total=False):
    """Parameters of `wandb.init()` that `wandb_config` has no argument for."""

    allow_val_change: bool | None
    config_exclude_keys: list[str] | tuple[str, ...] | None
    config_include_keys: list[str] | tuple[str, ...] | None
    dir: str | os.PathLike[str] | None
    force: bool | None
    fork_from: str | None
    job_type: str | None
    monitor_gym: bool | None
    notes: str | None
    reinit: Literal["create_new"] | None
    resume: bool | Literal["allow", "never", "must", "auto"] | None
    resume_from: str | None
    save_code: bool | None
    settings: wandb.Settings | Mapping[str, Any] | None
    sync_tensorboard: bool | None
    tensorboard: bool | None


class RunOptions(InitOptions, total=False):
    """All parameters of `wandb.init()` that `wandb_init` forwards."""

    config: Mapping[str, Any] | Namespace | None
    group: str | None
    id: str | None
    mode: Mode | None
    name: str | None
    tags: list[str] | tuple[str, ...] | None


def _add_up(outer: list[str], inner: list[str]) -> list[str]:
    return list(dict.fromkeys((*outer, *inner)))


def _by_key(outer: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    return {**outer, **inner}


class WandbConfig(ContextConfig):
    """The settings of W&B runs, as `wandb_config` makes them and `get_wandb_context` returns them.

    Immutable. Every setting is an attribute that is None where it was not given. It is also the `dict[str, str]` that
    Flyte carries: pass it as `custom_context`, unpack it into another dictionary, or use it in a `with` statement
    around calls of child tasks.
    """

    __slots__ = ()

    prefix: ClassVar[str] = "wandb_"
    function: ClassVar[str] = "wandb_config"

    project = TextField[str](limits.check_project_name)
    entity = TextField[str](limits.check_entity_name)
    id = TextField[str](limits.check_run_id)
    name = TextField[str](limits.check_text)
    tags = Field[list[str]](limits.check_tags, merge=_add_up)
    config = Field[dict[str, Any]](values.config_values, merge=_by_key)
    mode = TextField[Mode](validators.one_of("online", "offline", "disabled", "shared"))
    group = TextField[str](limits.check_text)
    run_mode = TextField[RunMode](validators.one_of("auto", "new", "shared"))
    download_logs = Field[bool](validators.boolean)
    host = TextField[str](validators.from_function(check_host))
    rank_scope = TextField[RankScope](validators.one_of("global", "worker"))
    on_unavailable = TextField[OnUnavailable](validators.one_of("raise", "offline"))
    flyte_metadata = Field[bool](validators.boolean)
    finish_timeout = Field[float](validators.seconds)
    log_inputs = Field[bool](validators.boolean)
    report = Field["bool | list[str]"](check_report)

    allow_val_change = Field[bool](validators.boolean)
    config_exclude_keys = Field[list[str]](validators.string_list)
    config_include_keys = Field[list[str]](validators.string_list)
    dir = TextField[str](validators.path)
    force = Field[bool](validators.boolean)
    fork_from = TextField[str](validators.run_moment)
    job_type = TextField[str](limits.check_text)
    monitor_gym = Field[bool](validators.boolean)
    notes = TextField[str](validators.string)
    # With the other values, opening a run could end or return the run of another task.
    reinit = TextField[Literal["create_new"]](validators.one_of("create_new"))
    resume = Field["bool | str"](validators.one_of(True, False, "allow", "never", "must", "auto"))
    resume_from = TextField[str](validators.run_moment)
    save_code = Field[bool](validators.boolean)
    settings = Field[dict[str, Any]](values.settings)
    sync_tensorboard = Field[bool](validators.boolean)
    tensorboard = Field[bool](validators.boolean)

    @property
    def run_id(self) -> str | None:
        """The id of the run that these settings name: `id`, or the run that `resume_from` rewinds."""
        return self.id or (self.resume_from.partition("?")[0] if self.resume_from else None)

    @classmethod
    def unknown_field(cls, name: str) -> str:
        """Return why a name is refused, and what to write instead."""
        import difflib

        close = difflib.get_close_matches(name, cls.fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the parameters are {', '.join(sorted(cls.fields))}"
        return f"is not a parameter of wandb.init() or of this plugin; {hint}"


def wandb_config(
    project: str | None = None,
    entity: str | None = None,
    id: str | None = None,  # noqa: A002
    name: str | None = None,
    tags: list[str] | tuple[str, ...] | None = None,
    config: Mapping[str, Any] | Namespace | None = None,
    mode: Mode | None = None,
    group: str | None = None,
    run_mode: RunMode | None = None,
    download_logs: bool | None = None,
    *,
    host: str | None = None,
    rank_scope: RankScope | None = None,
    on_unavailable: OnUnavailable | None = None,
    flyte_metadata: bool | None = None,
    finish_timeout: float | None = None,
    log_inputs: bool | None = None,
    report: bool | Sequence[str] | None = None,
    **kwargs: Unpack[InitOptions],
) -> WandbConfig:
    """Configure the W&B runs of a Flyte run, or of the tasks called in a `with` block.

    A decorator's arguments win over these; a nearer configuration wins over an outer one, key by key for `config`,
    added up for `tags`; these win over the `WANDB_*` environment. None means "not given".

    Args:
        project: The W&B project.
        entity: The user or team that owns it.
        id: The id of the run of the top-level task. Children that open a separate run use `{id}-{action name}`.
        name: The display name of the run.
        tags: Tags, of 1 to 64 characters each.
        config: Values for `run.config`, as `wandb.init()` takes them: a dictionary, a dataclass, a pydantic model or an
            `argparse.Namespace`. They are carried as W&B stores them; what it would lose, and credentials, are refused.
        mode: The mode of `wandb.init()`.
        group: The group of the run; the name of the Flyte run by default.
        run_mode: "auto" reuses the parent task's run or opens one, "new" always opens one, "shared" always reuses the
            parent's.
        download_logs: Whether to download the run's files when its task has ended.
        host: The API base URL of the W&B server; `WANDB_BASE_URL` by default.
        rank_scope: Whether the ranks of a distributed task log to one run ("global") or to one a worker ("worker").
        on_unavailable: What to do when W&B is unavailable: fail before the task's body ("raise", the default) or
            log offline ("offline").
        flyte_metadata: Whether the run's config describes the Flyte action that opened it; True by default.
        finish_timeout: How long finishing a run may take, in seconds; 600 by default. Data that is not uploaded by then
            stays in the local run directory.
        log_inputs: Whether the run's config has, under `inputs`, the inputs of the task that opened it; False by
            default. Scalars, lists, dictionaries, dataclasses and pydantic models, without credentials.
        report: Whether the task's Flyte report gets a tab about the run; or the metrics to draw there, at most 12.
            Default: where the task has `report=True`.
        **kwargs: Further parameters of `wandb.init()`.

    Returns:
        The configuration, which is also a dictionary: for `flyte.with_runcontext(custom_context=...)`, for
        `{**wandb_config(...), **wandb_sweep_config(...)}`, or for `with wandb_config(...):` inside a task.

    Raises:
        InvalidValueError: W&B would refuse or lose a value, or it is a credential.
    """
    return WandbConfig.from_values(
        project=project,
        entity=entity,
        id=id,
        name=name,
        tags=tags,
        config=config,
        mode=mode,
        group=group,
        run_mode=run_mode,
        download_logs=download_logs,
        host=host,
        rank_scope=rank_scope,
        on_unavailable=on_unavailable,
        flyte_metadata=flyte_metadata,
        finish_timeout=finish_timeout,
        log_inputs=log_inputs,
        report=report,
        **kwargs,
    )


def get_wandb_context() -> WandbConfig:
    """Return the effective W&B configuration in the current Flyte context.

    Returns:
        The configuration; an empty (falsy) one if none was given, and outside tasks.
    """
    return WandbConfig.current()
