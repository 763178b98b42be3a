"""The decorator `@wandb_sweep`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import flyte
from wandb_runtime.tasks.decorating import Call, Decoration, decorate

from wandb_sweeps._config.sweep import OnExit, OnFailure, SweepSettings, WandbSweepConfig
from wandb_sweeps._lifecycle.link import TaskLink

if TYPE_CHECKING:
    from typing_extensions import Unpack
    from wandb_runtime.tasks.holding import Session

F = TypeVar("F", bound=Callable[..., Any])


@overload
def wandb_sweep(_func: F) -> F: ...


@overload
def wandb_sweep(
    _func: None = None,
    *,
    project: str | None = None,
    entity: str | None = None,
    download_logs: bool | None = None,
    on_exit: OnExit | None = None,
    on_failure: OnFailure | None = None,
    report: bool | Sequence[str] | None = None,
    **kwargs: Unpack[SweepSettings],
) -> Callable[[F], F]: ...


def wandb_sweep(
    _func: F | None = None,
    *,
    project: str | None = None,
    entity: str | None = None,
    download_logs: bool | None = None,
    on_exit: OnExit | None = None,
    on_failure: OnFailure | None = None,
    report: bool | Sequence[str] | None = None,
    **kwargs: Unpack[SweepSettings],
) -> F | Callable[[F], F]:
    """Give a Flyte task a W&B sweep: create one, or join that of the task that calls it.

    The sweep exists before the body starts: `get_wandb_sweep_id()` returns its id in the body and in the tasks that it
    calls. Child tasks that are decorated too join the sweep; they create their own if they are called in a nearer
    `with wandb_sweep_config(...):`, or if their decorator gives `parameters`. The configuration is checked before
    anything is created.

    A sweep is created once for each Flyte action: a retry finds the sweep of an earlier attempt by the last line of its
    description, and continues it. Its default name is `{run name}-{action name}`.

    The decorator stands above `@env.task`, in either order with `@wandb_init`. Its arguments override every
    `wandb_sweep_config` and do not apply to child tasks. None means "not given".

    In the body `wandb.agent(sweep_id, function=objective, count=...)` works unchanged: with functions and coroutine
    functions, in the entity, project and server of the sweep, with Flyte's context in the objective, and without ending
    the task's own run. In local mode all tasks share a process, and the SDK runs one agent at a time in a process:
    other agents wait.

    Args:
        _func: The task, if the decorator is used without arguments.
        project: The W&B project. Default: the sweep configuration's, the configuration's, or `WANDB_PROJECT`.
        entity: The user or team that owns the sweep; resolved like the project.
        download_logs: Whether to download the files of the sweep's runs when the task has ended.
        on_exit: What happens to a sweep that the task created when the body has returned: "leave" it (default), or
            "stop" it, so that agents get no more trials.
        on_failure: What happens to it when the body has failed, was cancelled, or the platform stops the task: "leave"
            it, "stop" it (default), or "cancel" it, so that running trials end too.
        report: Whether the task's Flyte report gets a tab about the sweep when the task has ended, on failure too; or
            the metrics to draw there over the trials, at most 12. Default: where the task has `report=True`, which the
            decorator sets if it is given this.
        **kwargs: Keys of W&B's sweep configuration: `method`, `metric`, `parameters`, `early_terminate`, ...

    Returns:
        The same task, changed in place.

    Raises:
        InvalidValueError: An argument is unknown, invalid, or a credential.
        TypeError: The decorated object is not a Flyte task of a Python function.
    """
    settings = WandbSweepConfig.from_values(
        project=project,
        entity=entity,
        download_logs=download_logs,
        on_exit=on_exit,
        on_failure=on_failure,
        report=report,
        **kwargs,
    )
    return functools.partial(_decorate, settings=settings) if _func is None else _decorate(_func, settings)


def _decorate(target: F, settings: WandbSweepConfig) -> F:
    if not isinstance(target, flyte.AsyncFunctionTaskTemplate):
        hint = "; put it above @env.task" if inspect.isfunction(target) else ""
        msg = f"@wandb_sweep decorates Flyte tasks of Python functions, not {target!r}{hint}"
        raise TypeError(msg)
    # In place: Flyte deploys tasks from its own registry, and override() copies fields.
    target.report = target.report or bool(settings.report)
    decoration = Decoration(settings, target.short_name, has_report=target.report)
    target.func = decorate(target.func, "__wandb_sweep__", decoration, _start)
    target.links = (*target.links, TaskLink.of(settings))
    return target


def _start(decoration: Decoration[WandbSweepConfig], _call: Call) -> Session:
    # Imported with the first call: the import of the package must stay fast.
    from wandb_sweeps._lifecycle.session import start_sweep

    return start_sweep(decoration.settings, has_report=decoration.has_report)
