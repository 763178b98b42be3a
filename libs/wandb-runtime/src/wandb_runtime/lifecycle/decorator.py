"""The `@wandb_init` decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

import flyte

from wandb_runtime.config.run import OnUnavailable, RankScope, RunMode, RunOptions, WandbConfig
from wandb_runtime.lifecycle.link import links_of
from wandb_runtime.tasks.decorating import RUN_MARKER, Decoration, decorate
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
    **kwargs: Unpack[RunOptions],
) -> F | Callable[[F], F]:
    """Gives a Flyte task, or a plain function such as a sweep objective, a W&B run.

    The run is open when the body starts: `get_wandb_run()` returns it. It is closed when the body ends: *finished*
    when it returned, *failed* when it raised, was cancelled or exited with another code than 0. Must be the outermost
    decorator of a task. The arguments win over every `wandb_config`; they hold for the task and its traces and are not
    handed to child tasks. None means "not given".

    Which run a task uses:

    | the run of the nearest decorated task above | "auto" | "shared" | "new" |
    |---|---|---|---|
    | none | opens one | error | opens one |
    | local mode | reuses it | reuses it | opens one |
    | remote mode, open for several writers | writes to it | writes to it | opens one |
    | remote mode, plain | opens one, in its group | error | opens one |
    | remote mode, offline or disabled | opens one, in its group and mode | the same | opens one |

    A remote task opens its run for several writers (W&B's `mode="shared"`) if a decorated task that may join it is
    named in its code, or in what is named there; `mode="shared"` or `mode="online"` decides it for you.

    A plain function uses the run of the task or function that calls it, and opens one where there is none. The run of
    a task that opens one has the id `{run name}-{action name}`, so a retry continues it.

    A task of several processes (Flyte's Elastic, flyte.clustered), where `{base}` is the id above:

    | run_mode | rank_scope | who has a run | id |
    |---|---|---|---|
    | "auto" | "global" (default) | rank 0 | `{base}` |
    | "auto" | "worker" | the first rank of each worker | `{base}-worker-{i}` (one worker: `{base}`) |
    | "shared" | "global" | all ranks, one run | `{base}` |
    | "shared" | "worker" | all ranks, one run a worker | `{base}-worker-{i}` (one worker: `{base}`) |
    | "new" | "global" | each rank its own | `{base}-rank-{rank}`, in the group `{base}` |
    | "new" | "worker" | each rank its own | `{base}-worker-{i}-rank-{local rank}`, in the group `{base}-worker-{i}` |

    Where the parent task's run takes several writers, the ranks that "auto" and "shared" name write to that. The other
    ranks have no run: `get_wandb_run()` is None there, and functions that are decorated open none.

    When the platform stops a remote task (SIGTERM), its run is marked as preempting and closed before the process
    exits. Async bodies are cancelled; in sync ones SystemExit is raised as soon as their thread executes Python code.

    In local mode W&B does not capture the console, which all tasks share there; set `WANDB_CONSOLE` or
    `settings={"console": "wrap"}` to have it captured all the same.

    Args:
        _func: The task or function, when the decorator stands bare.
        run_mode: "auto" (default), "new" or "shared": see above.
        download_logs: Whether the files of a run that the task opens are to be an output of the task when it has ended,
            on failure too.
        project: The W&B project.
        entity: The user or team that owns it.
        rank_scope: Whether the ranks of a distributed task log to one run ("global") or to one a worker ("worker").
        host: The API address of the W&B server; `WANDB_BASE_URL` by default.
        on_unavailable: What to do when W&B cannot be reached: fail before the body ("raise", the default) or log
            offline ("offline").
        flyte_metadata: Whether the run's config tells, under `flyte`, which action made it; True by default.
        finish_timeout: How long closing the run may take, in seconds; 600 by default. What is not delivered by then
            stays in the local run directory.
        **kwargs: Further parameters of `wandb.init()`: `id`, `name`, `tags`, `config`, `mode`, `group`, ...

    Returns:
        The same task, changed in place, or a function like the one given.

    Raises:
        InvalidValueError: An argument is unknown, W&B would refuse it, or it is a credential.
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
        **kwargs,
    )
    return functools.partial(_decorate, settings=settings) if _func is None else _decorate(_func, settings)


def _decorate(target: F, settings: WandbConfig) -> F:
    if isinstance(target, flyte.AsyncFunctionTaskTemplate):
        # In place: Flyte deploys tasks from its own registry, and override() copies fields.
        target.func = _wrap(target.func, settings, target.short_name)
        size = declared_size(getattr(target, "plugin_config", None))
        target.links = (*target.links, *links_of(settings, size))
        return target
    if inspect.isfunction(target) and not (inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)):
        wrapped: F = _wrap(target, settings, None)
        return wrapped
    msg = f"@wandb_init decorates Flyte tasks of Python functions and plain functions, not {target!r}"
    raise TypeError(msg)


def _wrap(function: Callable[..., Any], settings: WandbConfig, short_name: str | None) -> Any:
    return decorate(function, RUN_MARKER, Decoration(settings, short_name), _start)


def _start(decoration: Decoration[WandbConfig], wrapper: Callable[..., Any]) -> Session:
    # Imported with the first call: importing the package should cost little more than importing Flyte.
    from wandb_runtime.lifecycle.session import start_run

    return start_run(decoration, wrapper)
