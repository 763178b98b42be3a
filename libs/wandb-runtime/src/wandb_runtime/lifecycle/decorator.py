"""The `@wandb_init` decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import flyte

from wandb_runtime.config.run import OnUnavailable, RankScope, RunMode, RunOptions, WandbConfig
from wandb_runtime.lifecycle.link import links_of
from wandb_runtime.tasks.decorating import RUN_MARKER, Call, Decoration, decorate
from wandb_runtime.tasks.distributed import declared_size

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from wandb_runtime.tasks.holding import Session

F = TypeVar("F", bound=Callable[..., Any])


@overload
def wandb_init(_func: F) -> F: ...


@overload
def wandb_init(
    _func: None = None,
    *,
    run_mode: RunMode | None = None,
    download_logs: bool | None = None,
    project: str | None = None,
    entity: str | None = None,
    rank_scope: RankScope | None = None,
    host: str | None = None,
    on_unavailable: OnUnavailable | None = None,
    flyte_metadata: bool | None = None,
    finish_timeout: float | None = None,
    log_inputs: bool | None = None,
    report: bool | Sequence[str] | None = None,
    **kwargs: Unpack[RunOptions],
) -> Callable[[F], F]: ...


def wandb_init(
    _func: F | None = None,
    *,
    run_mode: RunMode | None = None,
    download_logs: bool | None = None,
    project: str | None = None,
    entity: str | None = None,
    rank_scope: RankScope | None = None,
    host: str | None = None,
    on_unavailable: OnUnavailable | None = None,
    flyte_metadata: bool | None = None,
    finish_timeout: float | None = None,
    log_inputs: bool | None = None,
    report: bool | Sequence[str] | None = None,
    **kwargs: Unpack[RunOptions],
) -> F | Callable[[F], F]:
    """Open a W&B run for a Flyte task, or for a plain function such as a sweep objective.

    The run is open when the body starts: `get_wandb_run()` returns it. When the body ends, the run is *finished* if the
    body returned, and *failed* if it raised, was cancelled, or exited with a code other than 0. `@wandb_init` must be
    the outermost decorator of a task. The arguments override every `wandb_config`; they apply to the task and its
    traces and are not passed to child tasks. None means "not given".

    The run that a task uses:

    | run of the nearest decorated task above | "auto" | "shared" | "new" |
    |---|---|---|---|
    | (no such run) | opens one | error | opens one |
    | local mode | reuses it | reuses it | opens one |
    | remote mode, open for several writers | writes to it | writes to it | opens one |
    | remote mode, plain | opens one, in its group | error | opens one |
    | remote mode, offline or disabled | opens one, in its group and mode | the same | opens one |

    A remote task opens its run for several writers (W&B's `mode="shared"`) if a decorated task that may join it is
    named in its code, or in functions named there, recursively. `mode="shared"` or `mode="online"` overrides that.

    A plain function uses the run of the task or function that calls it, or opens one if they have no run. The run that
    a task opens has the id `{run name}-{action name}`, so a retry continues it.

    A task of several processes (Flyte's Elastic, flyte.clustered), where `{base}` is the id above:

    | run_mode | rank_scope | ranks with a run | id |
    |---|---|---|---|
    | "auto" | "global" (default) | rank 0 | `{base}` |
    | "auto" | "worker" | the first rank of each worker | `{base}-worker-{i}` (one worker: `{base}`) |
    | "shared" | "global" | all ranks, one run | `{base}` |
    | "shared" | "worker" | all ranks, one run a worker | `{base}-worker-{i}` (one worker: `{base}`) |
    | "new" | "global" | each rank a run | `{base}-rank-{rank}`, in the group `{base}` |
    | "new" | "worker" | each rank a run | `{base}-worker-{i}-rank-{local rank}`, in the group `{base}-worker-{i}` |

    If the parent task's run accepts several writers, the ranks listed for "auto" and "shared" write to it. The other
    ranks have no run: `get_wandb_run()` is None there, and decorated functions open none.

    When the platform stops a remote task (SIGTERM), its run is marked as preempting and closed before the process
    exits. Async bodies are cancelled; in sync ones SystemExit is raised as soon as their thread executes Python code.

    In local mode W&B does not capture the console, because all tasks share it; set `WANDB_CONSOLE` or
    `settings={"console": "wrap"}` to capture it anyway.

    Args:
        _func: The task or function, if the decorator has no arguments.
        run_mode: "auto" (default), "new" or "shared": see above.
        download_logs: Whether to store the files of a run that the task opens as an output of the task when it has
            ended, on failure too.
        project: The W&B project.
        entity: The user or team that owns it.
        rank_scope: Whether the ranks of a distributed task log to one run ("global") or to one a worker ("worker").
        host: The API base URL of the W&B server; `WANDB_BASE_URL` by default.
        on_unavailable: What to do when W&B is unavailable: fail before the body ("raise", the default) or log
            offline ("offline").
        flyte_metadata: Whether the run's config describes, under `flyte`, the action that opened it; True by default.
        finish_timeout: How long finishing the run may take, in seconds; 600 by default. Data that is not uploaded by
            then stays in the local run directory.
        log_inputs: Whether the run's config has, under `inputs`, the inputs of the task that opened it; False by
            default. Scalars, lists, dictionaries, dataclasses and pydantic models, without credentials.
        report: Whether the task's Flyte report gets a tab about the run when the task has ended, on failure too; or the
            metrics to draw there, at most 12. Default: where the task has `report=True`, which the decorator sets if it
            is given this.
        **kwargs: Further parameters of `wandb.init()`: `id`, `name`, `tags`, `config`, `mode`, `group`, ...

    Returns:
        The same task, changed in place, or a wrapped function.

    Raises:
        InvalidValueError: An argument is unknown, invalid, or a credential.
        TypeError: The decorated object is neither a Python task nor a function.
    """
    settings = WandbConfig.from_values(
        run_mode=run_mode,
        download_logs=download_logs,
        project=project,
        entity=entity,
        rank_scope=rank_scope,
        host=host,
        on_unavailable=on_unavailable,
        flyte_metadata=flyte_metadata,
        finish_timeout=finish_timeout,
        log_inputs=log_inputs,
        report=report,
        **kwargs,
    )
    return functools.partial(_decorate, settings=settings) if _func is None else _decorate(_func, settings)


def _decorate(target: F, settings: WandbConfig) -> F:
    if isinstance(target, flyte.AsyncFunctionTaskTemplate):
        # In place: Flyte deploys tasks from its own registry, and override() copies fields.
        target.report = target.report or bool(settings.report)
        target.func = _wrap(target.func, Decoration(settings, target.short_name, has_report=target.report))
        environment = target.parent_env() if target.parent_env else None
        size = declared_size(getattr(target, "plugin_config", None), environment)
        target.links = (*target.links, *links_of(settings, size))
        return target
    if inspect.isfunction(target) and not (inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)):
        wrapped: F = _wrap(target, Decoration(settings, None))
        return wrapped
    msg = f"@wandb_init decorates Flyte tasks of Python functions and plain functions, not {target!r}"
    raise TypeError(msg)


def _wrap(function: Callable[..., Any], decoration: Decoration[WandbConfig]) -> Any:
    return decorate(function, RUN_MARKER, decoration, _start)


def _start(decoration: Decoration[WandbConfig], call: Call) -> Session:
    # Imported with the first call: importing the package should cost little more than importing Flyte.
    from wandb_runtime.lifecycle.session import start_run

    return start_run(decoration, call)
