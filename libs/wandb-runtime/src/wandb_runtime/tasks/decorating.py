"""Wrapping a task's function in place, for decorators that stand above `@env.task`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from wandb_runtime.config.context import ContextConfig
from wandb_runtime.tasks.shutdown import install_handler

if TYPE_CHECKING:
    from typing import TypeAlias

    from wandb_runtime.tasks.holding import Session

RUN_MARKER = "__wandb_init__"
"""The marker of `@wandb_init`. It is defined here because the call graph recognizes the decorator by it, too."""

C = TypeVar("C", bound=ContextConfig)


@dataclass(frozen=True)
class Decoration(Generic[C]):
    """The data of a decorated function. It is pickled with the function, so it holds plain values only."""

    settings: C
    """The decorator's arguments."""
    short_name: str | None
    """The short name of the task whose body the function is; None for a plain function."""
    has_report: bool = False
    """Whether that task has `report=True`."""

    def __reduce__(self) -> tuple[Callable[..., Decoration[Any]], tuple[ContextConfig, str | None, bool]]:
        return _unpickle, (self.settings, self.short_name, self.has_report)


def _unpickle(settings: C, short_name: str | None, has_report: bool = False) -> Decoration[C]:
    """Restore a decoration; installs the handler, because a pod that unpickles its task never runs the decorator."""
    install_handler()
    return Decoration(settings, short_name, has_report)


@dataclass(frozen=True)
class Call:
    """A call of a decorated function."""

    function: Callable[..., Any]
    """The function, as `decorate` has wrapped it."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


Start: TypeAlias = "Callable[[Decoration[Any], Call], Session]"
"""Opens the session of a call, given the decoration of the function. Blocks. Pickled by reference."""


def decorate(function: Callable[..., Any], marker: str, decoration: Decoration[Any], start: Start) -> Any:
    """Wrap a function so that a session is open while its body runs.

    The wrapper is pickled by value with the code bundles of notebooks: it refers to importable helpers only.

    Args:
        function: A function or a coroutine function.
        marker: The attribute of the wrapper that holds the decoration; `decoration_of` reads it.
        decoration: What the wrapper carries.
        start: Opens the session. Must be importable.
    """
    install_handler()
    wrapper: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            from wandb_runtime.tasks.holding import hold_async

            async with hold_async(functools.partial(start, decoration, Call(wrapper, args, kwargs))):
                return await function(*args, **kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            from wandb_runtime.tasks.holding import hold

            with hold(functools.partial(start, decoration, Call(wrapper, args, kwargs))):
                return function(*args, **kwargs)

    setattr(wrapper, marker, decoration)
    return wrapper


def decoration_of(function: object, marker: str) -> Decoration[Any] | None:
    """Return the decoration that `decorate` gave to a function; None for anything else."""
    found = getattr(function, "__dict__", {}).get(marker)
    return found if isinstance(found, Decoration) else None
