from __future__ import annotations

import functools
import inspect
import os
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

import flyte

from wandb_runtime import _open_runs, _stopping
from wandb_runtime._config import OnUnavailable, RankScope, RunMode, RunOptions, WandbConfig
from wandb_runtime._current import current
from wandb_runtime._decoration import MARKER, Decoration, may_be_joined
from wandb_runtime._errors import DecoratorOrderError
from wandb_runtime._keeping import keep, keep_async
from wandb_runtime._link import links_of
from wandb_runtime._off_loop import off_loop
from wandb_runtime._plan import Plan, RunAddress, SilentPlan, Surroundings, plan_run
from wandb_runtime._ranks import declared_size, get_distributed_info, is_launched
from wandb_runtime._session import Session, Silence, start
from wandb_runtime._task import current_task, is_task_function

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from typing_extensions import Unpack

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
        download_logs: Whether to download the run's files when the task has ended.
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
    settings = WandbConfig.given(
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
    _stopping.listen()
    if isinstance(target, flyte.AsyncFunctionTaskTemplate):
        # In place: Flyte deploys tasks from its own registry, and override() copies fields.
        target.func = _wrap(target.func, Decoration(settings, short_name=target.short_name))
        size = declared_size(getattr(target, "plugin_config", None))
        target.links = (*target.links, *links_of(settings, size))
        return target
    if inspect.isfunction(target) and not (inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)):
        wrapped: F = _wrap(target, Decoration(settings, short_name=None))
        return wrapped
    msg = f"@wandb_init decorates Flyte tasks of Python functions and plain functions, not {target!r}"
    raise TypeError(msg)


def _wrap(function: Callable[..., Any], decoration: Decoration) -> Any:
    """Wraps a body. The wrapper is pickled by value with notebooks' code bundles: it names importable helpers only."""
    wrapper: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            async with run_around_async(wrapper):
                return await function(*args, **kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with run_around(wrapper):
                return function(*args, **kwargs)

    setattr(wrapper, MARKER, decoration)
    return wrapper


@contextmanager
def run_around(wrapper: Callable[..., Any]) -> Iterator[None]:
    """Opens the run of a wrapped function, or joins one, for the time of its body."""
    with _stopping.watched() as body:
        session = start(_plan(wrapper))
        try:
            with body.running(session), session.active():
                yield
        except BaseException as error:
            keep(session.close(_exit_code(error)), error)
            raise
        keep(session.close(0))


@asynccontextmanager
async def run_around_async(wrapper: Callable[..., Any]) -> AsyncIterator[None]:
    """`run_around` for coroutine functions: what waits for W&B does so off the event loop."""
    with _stopping.watched() as body:
        session = await off_loop(lambda: start(_plan(wrapper)), undo=_abandon)
        try:
            with body.running(session), session.active():
                yield
        except BaseException as error:
            await keep_async(await off_loop(functools.partial(session.close, _exit_code(error))), error)
            raise
        await keep_async(await off_loop(functools.partial(session.close, 0)))


def _abandon(session: Session | Silence) -> None:
    session.close(_exit_code(CancelledError()))


def _plan(wrapper: Callable[..., Any]) -> Plan:
    decoration: Decoration = getattr(wrapper, MARKER)
    task = current_task()
    if decoration.short_name is None and task is not None and is_task_function(wrapper):
        name = wrapper.__qualname__
        msg = f"@wandb_init stands under @env.task on {name!r}; put it above, as the outermost decorator"
        raise DecoratorOrderError(msg)
    here = current()
    if here is not None and here.run is None:
        return SilentPlan()
    if decoration.short_name is None or here is not None:
        # A task that is called as a function, by forward() or outside Flyte, is one.
        task = None
    if here is not None:
        nearest: RunAddress | None = here.address
    else:
        nearest = RunAddress.from_context(flyte.get_custom_context()) if task else None
    around = Surroundings(
        context=WandbConfig.current(),
        environment=os.environ,
        task=task,
        short_name=decoration.short_name,
        nearest=nearest,
        is_open_here=_open_runs.find(nearest) is not None,
        # Locally children are in this process, and a launcher's processes can call none.
        may_be_joined=task is not None and not task.is_local and not is_launched(os.environ) and may_be_joined(wrapper),
        ranks=get_distributed_info() if task is not None else None,
    )
    return plan_run(decoration.settings, around)


def _exit_code(error: BaseException) -> int:
    """The exit code of a process that ends with this exception, as Python has it; 255 for Ctrl-C, as W&B has it."""
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return 255
    # The event loop of a process that is being stopped ends its tasks by cancelling them.
    return _stopping.EXIT_CODE if isinstance(error, CancelledError) and _stopping.is_stopping() else 1
